"""Limits sign-ups and the mails that they cause: `decide` is pure, the rest is SQL.

Mails are counted in the notices themselves, and requests in rows of their own, so that the limits hold over
restarts and between processes. A request that is refused writes nothing.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.db import AdvisoryLock, UTCDateTime, take_lock
from mailer.db.prepared_statements import Prepared
from mailer.errors import Refused
from mailer.models import ClientRequest, Notice
from mailer.permission.consent import Origin
from mailer.rate import Rate, SignupLimits

GAP: Final = timedelta(minutes=10)
"""How long one address waits between two mails."""

WIDER_FACTOR: Final = 5
"""How many times as many requests a /48 may make as one of its /64s: one customer may have them all."""

_NETWORK_BITS: Final = {4: 24, 6: 64}
_WIDER_BITS: Final = 48


def _nth(
    column: InstrumentedAttribute[Any], which: ColumnElement[bool], name: str
) -> ScalarSelect[Any]:
    return (
        select(column)
        .where(which, column > bindparam(f"{name}_since"))
        .order_by(column.desc())
        .offset(bindparam(f"{name}_newer", type_=Integer))
        .limit(1)
        .scalar_subquery()
    )


_IS_MINE: Final = Notice.rate_key == bindparam("rate_key")
_HISTORY: Final = Prepared(
    select(
        select(func.max(Notice.created_at)).where(_IS_MINE).scalar_subquery(),
        _nth(Notice.created_at, _IS_MINE, "address"),
        _nth(ClientRequest.at, ClientRequest.network == bindparam("network"), "network"),
        _nth(ClientRequest.at, ClientRequest.wider_network == bindparam("wider"), "wider"),
        _nth(Notice.not_before, Notice.not_before.is_not(None), "total"),
        _nth(Notice.not_before, Notice.not_before > Notice.created_at, "held"),
    ),
    *(6 * [UTCDateTime()]),
)
"""What `SignupHistory` holds, in its order."""

_COUNT: Final = Prepared(
    insert(ClientRequest).values(
        {name: bindparam(name) for name in ("network", "wider_network", "at")}
    )
)


@dataclass(frozen=True)
class SignupHistory:
    """What was requested and mailed lately; a field is None if there was not so much.

    Attributes:
        newest: when the last mail to this address was queued.
        nth_for_address: when the n-th newest mail to this address was queued, if its limit is n.
        nth_for_network, nth_for_wider: the same for requests from the client's network, and from the /48.
        nth_in_total: the same for the mails of all sign-ups, by when they might go out at the earliest.
        newest_held: when the last mail goes out that the limit on all sign-ups delays.
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
        not_before: when a mail that counts in the total may go out.
        first_held: whether it is the first that the total holds, for the whole span of that limit.
    """

    mail: bool
    not_before: datetime
    first_held: bool = False


class TooManySignups(Refused):
    """Too many sign-ups came from this network; try again later."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


def decide(history: SignupHistory, limits: SignupLimits, *, now: datetime) -> Allowance:
    """Decide what the limits allow after this history.

    The client learns only of the limit for its network, because that says nothing about any address.

    Raises:
        TooManySignups: the client's network, or the /48 around it, has reached its limit.
    """
    full = [at for at in (history.nth_for_network, history.nth_for_wider) if at is not None]
    if full:
        raise TooManySignups(max(full) + limits.network.span - now)
    is_too_soon = history.newest is not None and now - history.newest < GAP
    not_before = now
    if history.nth_in_total is not None:
        # After a full window, each mail follows the one whose place becomes free.
        not_before = max(now, history.nth_in_total + limits.total.span)
    mail = not is_too_soon and history.nth_for_address is None
    first_held = mail and not_before > now and history.newest_held is None
    return Allowance(mail, not_before, first_held)


def admit(session: Session, origin: Origin, rate_key: str, limits: SignupLimits) -> Allowance:
    """Count a request against its client's network, and return what the limits allow it.

    No other request is counted until the transaction ends. A command is not counted.

    Args:
        rate_key: the key under which its mails are counted.

    Raises:
        TooManySignups: the client's network has reached its limit; then it is not counted.
    """
    take_lock(session, AdvisoryLock.COUNT_SIGNUPS)
    now = origin.at
    network, wider = (None, None) if origin.ip is None else networks_of(origin.ip)
    spans = {
        "address": limits.address,
        "network": limits.network,
        "wider": Rate(WIDER_FACTOR * limits.network.count, limits.network.span),
        "total": limits.total,
        "held": Rate(1, limits.total.span),
    }
    # A command has no network, and IPv4 no wider one. The statement stays the same, and finds nothing.
    values: dict[str, object] = {
        "rate_key": rate_key,
        "network": network or "",
        "wider": wider or "",
    }
    for name, rate in spans.items():
        values |= {f"{name}_since": now - rate.span, f"{name}_newer": rate.count - 1}
    (row,) = _HISTORY.execute(session, values)
    allowance = decide(SignupHistory(*row), limits, now=now)
    if network is not None:
        _COUNT.execute(session, {"network": network, "wider_network": wider, "at": now})
    return allowance


def networks_of(ip: str) -> tuple[str, str | None]:
    """Return the networks a client is counted with: its /24, or its /64 and the /48 around it."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    network = ipaddress.ip_network((address, _NETWORK_BITS[address.version]), strict=False)
    wider = network.supernet(new_prefix=_WIDER_BITS) if network.version == 6 else None
    return str(network), None if wider is None else str(wider)


def all_from_loopback(session: Session) -> bool:
    """Return whether there are counted requests and all of them came from this machine.

    A web server in front looks like that until `trusted_proxies` names it.
    """
    network = ClientRequest.network
    others = ~(network.startswith("127.") | (network == "::/64"))
    has_any, has_others = (
        select(ClientRequest.id).where(*which).limit(1).scalar_subquery()
        for which in ((), (others,))
    )
    row = session.execute(select(has_any.is_not(None), has_others.is_not(None))).one()
    return bool(row[0]) and not row[1]
