"""Limits on sign-ups and the mails that they cause: what they allow (pure), and what counts (SQL).

Mails are counted in the notices themselves, requests in rows of their own, so that the limits hold over
restarts and between processes. A request that is refused writes nothing.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, ScalarSelect, func, insert, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.db import AdvisoryLock, take_lock
from mailer.errors import Refused
from mailer.models import ClientRequest, Notice
from mailer.rate import Rate, SignupLimits

GAP: Final = timedelta(minutes=10)
"""How long one address waits between two mails."""

WIDER: Final = 5
"""How many times as many requests a /48 may make as one of the /64s in it: one customer may have them all."""

_NETWORK_BITS: Final = {4: 24, 6: 64}
_WIDER_BITS: Final = 48


@dataclass(frozen=True)
class ClientNetwork:
    """What a client is counted with: its /24, or its /64 and the /48 around that."""

    network: str
    wider: str | None = None


@dataclass(frozen=True)
class History:
    """What was asked and mailed lately; each is None where that many were not.

    Attributes:
        newest: when this address was last written to.
        nth_for_address: when the mail went that fills the limit, counted from the newest backwards.
        nth_for_network, nth_for_wider: the same for the requests of the client's networks.
        nth_in_total: the same for all sign-ups, by when they were allowed to go out.
        newest_held: when the last mail goes out that was held, within the span of the limit on all.
    """

    newest: datetime | None = None
    nth_for_address: datetime | None = None
    nth_for_network: datetime | None = None
    nth_for_wider: datetime | None = None
    nth_in_total: datetime | None = None
    newest_held: datetime | None = None


@dataclass(frozen=True)
class Allowance:
    """What the limits allow.

    Attributes:
        mail: whether to mail at all.
        not_before: from when on a mail may go that counts in the total.
        first_held: it is held by the total, and none was for the whole span of that limit.
    """

    mail: bool
    not_before: datetime
    first_held: bool = False


class TooManySignups(Refused):
    """Too many sign-ups came from this network; try again later."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


def decide(history: History, limits: SignupLimits, *, now: datetime) -> Allowance:
    """What the limits allow after this history.

    Only the limit for the network is told to the client: it says nothing about any address.

    Raises:
        TooManySignups: the client's network, or the /48 around it, has reached its limit.
    """
    full = [at for at in (history.nth_for_network, history.nth_for_wider) if at is not None]
    if full:
        raise TooManySignups(max(full) + limits.network.span - now)
    waits = history.newest is not None and now - history.newest < GAP
    not_before = now
    if history.nth_in_total is not None:
        # Whoever comes after a full window follows the one whose place becomes free.
        not_before = max(now, history.nth_in_total + limits.total.span)
    mail = not waits and history.nth_for_address is None
    first_held = mail and not_before > now and history.newest_held is None
    return Allowance(mail, not_before, first_held)


def admit(
    session: Session,
    *,
    rate_key: str,
    client: ClientNetwork | None,
    limits: SignupLimits,
    now: datetime,
) -> Allowance:
    """Count a request against its client's network, and say what the limits allow it.

    Args:
        rate_key: what its mails are counted under.
        client: None for a command, which is not counted.

    Raises:
        TooManySignups: the client's network has reached its limit; then it is not counted.
    """
    found = _history(session, rate_key=rate_key, client=client, limits=limits, now=now)
    allowed = decide(found, limits, now=now)
    if client is not None:
        row = {"network": client.network, "wider_network": client.wider, "at": now}
        session.execute(insert(ClientRequest).values(row))
    return allowed


def _history(
    session: Session,
    *,
    rate_key: str,
    client: ClientNetwork | None,
    limits: SignupLimits,
    now: datetime,
) -> History:
    """What counts against these limits. Until the transaction ends nobody else counts."""
    take_lock(session, AdvisoryLock.COUNT_SIGNUPS)
    # A command has no network, and IPv4 no wider one. The statement stays the same, and finds nothing.
    network = literal("" if client is None else client.network)
    wider = literal("" if client is None or client.wider is None else client.wider)
    requests = limits.network
    row = session.execute(
        select(
            select(func.max(Notice.created_at))
            .where(Notice.rate_key == rate_key)
            .scalar_subquery(),
            _nth(Notice.created_at, Notice.rate_key == rate_key, limits.address, now),
            _nth(ClientRequest.at, ClientRequest.network == network, requests, now),
            _nth(
                ClientRequest.at,
                ClientRequest.wider_network == wider,
                Rate(WIDER * requests.count, requests.span),
                now,
            ),
            _nth(Notice.not_before, Notice.not_before.is_not(None), limits.total, now),
            _nth(
                Notice.not_before,
                Notice.not_before > Notice.created_at,
                Rate(1, limits.total.span),
                now,
            ),
        )
    ).one()
    return History(*row)


def network_of(ip: str | None) -> ClientNetwork | None:
    """The networks that a client at `ip` is counted with; None for one without an address."""
    if ip is None:
        return None
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    network = ipaddress.ip_network((address, _NETWORK_BITS[address.version]), strict=False)
    wider = network.supernet(new_prefix=_WIDER_BITS) if network.version == 6 else None
    return ClientNetwork(str(network), None if wider is None else str(wider))


def all_from_loopback(session: Session) -> bool:
    """Whether all requests that are counted came from this machine, and there are some.

    A web server in front looks like that, until `trusted_proxies` names it.
    """
    network = ClientRequest.network
    others = ~(network.startswith("127.") | (network == "::/64"))
    has_any, has_others = (
        select(ClientRequest.id).where(*which).limit(1).scalar_subquery()
        for which in ((), (others,))
    )
    row = session.execute(select(has_any.is_not(None), has_others.is_not(None))).one()
    return bool(row[0]) and not row[1]


def _nth(
    column: InstrumentedAttribute[Any], which: ColumnElement[bool], rate: Rate, now: datetime
) -> ScalarSelect[Any]:
    return (
        select(column)
        .where(which, column > now - rate.span)
        .order_by(column.desc())
        .offset(rate.count - 1)
        .limit(1)
        .scalar_subquery()
    )
