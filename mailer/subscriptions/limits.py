"""Limits on the mails that sign-ups cause: what they allow (pure), and what counts against them (SQL).

They are counted in the notices themselves, so that they hold over restarts and between processes.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, ScalarSelect, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.db import take_turns
from mailer.errors import Refused
from mailer.models import Notice

GAP: Final = timedelta(minutes=10)
"""How long one address waits between two mails."""

_TURNS: Final = 0x6D61_696C_0002
_NETWORK_BITS: Final = {4: 24, 6: 64}


@dataclass(frozen=True)
class Rate:
    """At most `count` in any `span`."""

    count: int
    span: timedelta


@dataclass(frozen=True)
class Limits:
    """The limits for one address, for one client network, and for all together."""

    address: Rate
    network: Rate
    total: Rate


@dataclass(frozen=True)
class History:
    """What was mailed lately; each is None where that many mails were not.

    Attributes:
        newest: when this address was last written to.
        nth_for_address, nth_for_network: when the mail went that fills the limit, counted from the
            newest backwards.
        nth_in_total: the same for all sign-ups, by when they were allowed to go out.
    """

    newest: datetime | None = None
    nth_for_address: datetime | None = None
    nth_for_network: datetime | None = None
    nth_in_total: datetime | None = None


@dataclass(frozen=True)
class Allowance:
    """What the limits allow: whether to mail at all, and from when on."""

    mail: bool
    not_before: datetime


class TooManySignups(Refused):
    """Too many sign-ups came from this network; try again later."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


def decide(history: History, limits: Limits, *, now: datetime) -> Allowance:
    """What the limits allow after this history.

    Only the limit for the network is told to the client: it says nothing about any address.

    Raises:
        TooManySignups: the client's network has reached its limit.
    """
    if history.nth_for_network is not None:
        raise TooManySignups(history.nth_for_network + limits.network.span - now)
    waits = history.newest is not None and now - history.newest < GAP
    not_before = now
    if history.nth_in_total is not None:
        # Whoever comes after a full window follows the one whose place becomes free.
        not_before = max(now, history.nth_in_total + limits.total.span)
    return Allowance(mail=not waits and history.nth_for_address is None, not_before=not_before)


def history(
    session: Session, *, rate_key: str, network: str | None, limits: Limits, now: datetime
) -> History:
    """What counts against these limits. Until the transaction ends nobody else counts."""
    take_turns(session, _TURNS)
    row = session.execute(
        select(
            select(func.max(Notice.created_at))
            .where(Notice.rate_key == rate_key)
            .scalar_subquery(),
            _nth(Notice.created_at, Notice.rate_key == rate_key, limits.address, now),
            # A command has no network. The statement stays the same, and finds nothing.
            _nth(Notice.created_at, Notice.network == literal(network or ""), limits.network, now),
            _nth(Notice.not_before, Notice.not_before.is_not(None), limits.total, now),
        )
    ).one()
    return History(*row)


def network_of(ip: str | None) -> str | None:
    """The network that a client at `ip` is counted with: its /24, or its /64."""
    if ip is None:
        return None
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, _NETWORK_BITS[address.version]), strict=False))


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
