"""Decides what a row about one reader changes here: who is entered, who leaves, and who is suppressed.

Pure. Never brings back somebody who left or is suppressed, whatever the row says and whichever comes first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mailer.address import Address
from mailer.clock import format_instant
from mailer.models import ConsentKind, SuppressionReason
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus


class EntryResult(StrEnum):
    """What entering one address does. The last two are never mailed."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


class NewReader(NamedTuple):
    """A row about a valid address, the hash of its key, and where the row comes from, for the consent log."""

    address: Address
    key_hash: str
    row: ImportRow
    source: str


class EntryTerms(NamedTuple):
    """What holds for all rows: the schedule, and when they are entered (UTC).

    With `moves`, readers who subscribe already change to the schedule.
    """

    schedule_id: int
    moves: bool
    now: datetime


class EntryEvent(NamedTuple):
    """A consent event to be written."""

    kind: ConsentKind
    at: datetime
    source: str
    ip: str | None = None


@dataclass(slots=True)
class ReaderState:
    """One reader and their place in the newsletter: as stored, then as the rows of a file have changed it.

    Attributes:
        suppression: why they get no mail at all.
        suppression_here: why they get no mail of this newsletter.
        confirmed_at: when they last confirmed here by themselves.
        reachable_at: the same, or when staff lifted a suppression.
        changes: which of the fields have changed, by name; "subscribed" and "suppression" stand for new rows.
        events: what happened, for the consent log.
    """

    subscriber_id: int | None = None
    name: str | None = None
    language: str | None = None
    subscription_id: int | None = None
    subscribed: bool = False
    schedule_id: int | None = None
    since: datetime | None = None
    left_at: datetime | None = None
    paused_at: datetime | None = None
    confirmed_at: datetime | None = None
    reachable_at: datetime | None = None
    suppression: SuppressionReason | None = None
    suppression_here: SuppressionReason | None = None
    suppressed_at: datetime | None = None
    suppression_detail: str | None = None
    address: Address | None = None
    changes: set[str] = field(default_factory=set)
    events: list[EntryEvent] = field(default_factory=list)


def decide_all(
    states: Mapping[str, ReaderState], readers: list[NewReader], terms: EntryTerms
) -> Iterator[EntryResult]:
    """Yield what each of `readers` does, in their order, and change the states, which are by key hash."""
    for reader in readers:
        yield decide(states[reader.key_hash], reader, terms)


def decide(state: ReaderState, reader: NewReader, terms: EntryTerms) -> EntryResult:
    """Change the state of a reader as a row says, and return what that was."""
    state.address = state.address or reader.address
    status = reader.row.status
    if status is ReaderStatus.ACTIVE:
        return _enter(state, reader, terms)
    if state.suppression is SuppressionReason.ERASED:
        # Nothing may be written about them.
        return EntryResult.SUPPRESSED
    if status is ReaderStatus.UNSUBSCRIBED:
        return _unsubscribe(state, reader, terms)
    return _suppress(state, reader, terms)


def _enter(state: ReaderState, reader: NewReader, terms: EntryTerms) -> EntryResult:
    if state.suppression or state.suppression_here:
        return EntryResult.SUPPRESSED
    if state.left_at is not None:
        return EntryResult.UNSUBSCRIBED
    if not state.subscribed:
        _subscribe(state, reader, terms, since=terms.now)
        state.paused_at = reader.row.paused_at
        _record_opt_in(state, reader, terms)
        return EntryResult.ADDED
    is_moved = terms.moves and state.schedule_id != terms.schedule_id
    if is_moved:
        state.schedule_id = terms.schedule_id
        state.changes.add("schedule_id")
        state.events.append(EntryEvent(ConsentKind.CHANGED, terms.now, reader.source))
    is_filled = _fill(state, reader.row)
    return EntryResult.UPDATED if is_moved or is_filled else EntryResult.UNCHANGED


def _unsubscribe(state: ReaderState, reader: NewReader, terms: EntryTerms) -> EntryResult:
    """Let a reader leave, or note that somebody who never was here has left."""
    if state.left_at is not None:
        return EntryResult.UNSUBSCRIBED
    if state.subscribed and _is_after(state.confirmed_at, reader.row):
        return EntryResult.UNCHANGED
    left_at = _time_of(reader.row, terms)
    if not state.subscribed:
        _subscribe(state, reader, terms, since=min(reader.row.opted_in_at or left_at, left_at))
        if reader.row.opted_in_at or reader.row.opt_in_ip:
            _record_opt_in(state, reader, terms)
    state.left_at = left_at
    state.changes.add("left_at")
    _record(state, ConsentKind.UNSUBSCRIBED, left_at, reader, terms)
    return EntryResult.UNSUBSCRIBED


def _suppress(state: ReaderState, reader: NewReader, terms: EntryTerms) -> EntryResult:
    """Suppress a reader, as `mailer.permission.suppress` does: a bounce gives way to any other reason."""
    reason = reader.row.reason or SuppressionReason.STAFF
    is_bounce = reason is SuppressionReason.BOUNCED
    if state.suppression not in {None, SuppressionReason.BOUNCED}:
        return EntryResult.SUPPRESSED
    if state.suppression is SuppressionReason.BOUNCED and is_bounce:
        return EntryResult.SUPPRESSED
    if state.suppression is None and _is_after(state.reachable_at, reader.row):
        return EntryResult.UNCHANGED
    state.suppression = reason
    state.suppressed_at = _time_of(reader.row, terms)
    state.suppression_detail = reader.source
    state.changes.add("suppression")
    return EntryResult.SUPPRESSED


def _is_after(at: datetime | None, row: ImportRow) -> bool:
    """Tell whether something happened here after what the row says. Without a time, the row counts."""
    return at is not None and row.left_at is not None and at > row.left_at


def _time_of(row: ImportRow, terms: EntryTerms) -> datetime:
    return min(row.left_at or terms.now, terms.now)


def _subscribe(
    state: ReaderState, reader: NewReader, terms: EntryTerms, *, since: datetime
) -> None:
    state.subscribed = True
    state.schedule_id = terms.schedule_id
    state.since = since
    state.changes.add("subscribed")
    _fill(state, reader.row)


def _fill(state: ReaderState, row: ImportRow) -> bool:
    """Fill in what is not known yet, and return whether anything was."""
    filled = {
        column: value
        for column, value in (("name", row.name), ("language", row.language))
        if value and not getattr(state, column)
    }
    for column, value in filled.items():
        setattr(state, column, value)
    state.changes.update(filled)
    return bool(filled)


def _record_opt_in(state: ReaderState, reader: NewReader, terms: EntryTerms) -> None:
    at = min(reader.row.opted_in_at or terms.now, terms.now)
    _record(state, ConsentKind.IMPORTED, at, reader, terms, reader.row.opt_in_ip)


def _record(
    state: ReaderState,
    kind: ConsentKind,
    at: datetime,
    reader: NewReader,
    terms: EntryTerms,
    ip: str | None = None,
) -> None:
    """Note a consent event; if it was at another time than now, its source says when it was imported."""
    source = reader.source
    if at != terms.now:
        source = f"{source}; imported {format_instant(terms.now)}"
    state.events.append(EntryEvent(kind, at, source, ip))
