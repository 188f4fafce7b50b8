"""What one row changes of a reader: the whole table, and that no order of rows brings anybody back."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.address import parse
from mailer.models import ConsentKind, SuppressionReason
from mailer.subscribers.entering.decide import (
    EntryResult,
    EntryTerms,
    NewReader,
    ReaderState,
    decide,
)
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus
from tests.support.factories import NOW

DAY = timedelta(days=1)
TERMS = EntryTerms(schedule_id=1, moves=False, now=NOW)
MOVING = TERMS._replace(schedule_id=2, moves=True)

ACTIVE, LEFT, STOPPED = ReaderStatus.ACTIVE, ReaderStatus.UNSUBSCRIBED, ReaderStatus.SUPPRESSED
BOUNCED, COMPLAINED = SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED
STAFF, ERASED = SuppressionReason.STAFF, SuppressionReason.ERASED


def reader(status: ReaderStatus = ACTIVE, **values: object) -> NewReader:
    row = ImportRow(2, "anna@example.com", status=status, **values)  # type: ignore[arg-type]
    return NewReader(parse(row.email), "hash", row, "import f.csv: fair, line 2")


def here(**values: object) -> ReaderState:
    """Somebody who subscribes here."""
    state = ReaderState(subscriber_id=1, subscription_id=1, subscribed=True, schedule_id=1)
    return replace(state, changes=set(), events=[], **values)  # type: ignore[arg-type]


def nobody(**values: object) -> ReaderState:
    return ReaderState(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "row", "result", "changes"),
    [
        (nobody(), reader(), "added", {"subscribed"}),
        (nobody(), reader(name="Anna"), "added", {"subscribed", "name"}),
        (here(), reader(), "unchanged", set()),
        (here(), reader(name="Anna"), "updated", {"name"}),
        (here(name="Anne"), reader(name="Anna", language="hy"), "updated", {"language"}),
        (here(name="Anne"), reader(name="Anna"), "unchanged", set()),
        (here(left_at=NOW), reader(name="Anna"), "unsubscribed", set()),
        (nobody(suppression=STAFF), reader(name="Anna"), "suppressed", set()),
        (here(suppression_here=STAFF), reader(), "suppressed", set()),
        (nobody(), reader(LEFT), "unsubscribed", {"subscribed", "left_at"}),
        (here(), reader(LEFT), "unsubscribed", {"left_at"}),
        (here(left_at=NOW - DAY), reader(LEFT, left_at=NOW), "unsubscribed", set()),
        # They confirmed here: after the file says that they left, before it, or it does not say when.
        (here(confirmed_at=NOW), reader(LEFT, left_at=NOW - DAY), "unchanged", set()),
        (here(confirmed_at=NOW - DAY), reader(LEFT, left_at=NOW), "unsubscribed", {"left_at"}),
        (here(confirmed_at=NOW), reader(LEFT), "unsubscribed", {"left_at"}),
        # Leaving is remembered beside a suppression, which may be lifted; of the erased nothing is.
        (nobody(suppression=BOUNCED), reader(LEFT), "unsubscribed", {"subscribed", "left_at"}),
        (nobody(suppression=ERASED), reader(LEFT, name="Anna"), "suppressed", set()),
        (nobody(suppression=ERASED), reader(STOPPED), "suppressed", set()),
        (nobody(), reader(STOPPED, reason=BOUNCED), "suppressed", {"suppression"}),
        (here(), reader(STOPPED, reason=BOUNCED), "suppressed", {"suppression"}),
        (nobody(suppression_here=STAFF), reader(STOPPED), "suppressed", {"suppression"}),
        (nobody(suppression=BOUNCED), reader(STOPPED, reason=BOUNCED), "suppressed", set()),
        (
            nobody(suppression=BOUNCED),
            reader(STOPPED, reason=COMPLAINED),
            "suppressed",
            {"suppression"},
        ),
        (nobody(suppression=COMPLAINED), reader(STOPPED, reason=BOUNCED), "suppressed", set()),
        (
            here(reachable_at=NOW),
            reader(STOPPED, reason=BOUNCED, left_at=NOW - DAY),
            "unchanged",
            set(),
        ),
        (here(reachable_at=NOW), reader(STOPPED, reason=BOUNCED), "suppressed", {"suppression"}),
    ],
)
def test_what_a_row_changes(
    state: ReaderState, row: NewReader, result: str, changes: set[str]
) -> None:
    assert decide(state, row, TERMS) == EntryResult(result)
    assert state.changes == changes


def test_only_a_schedule_that_is_named_moves_somebody() -> None:
    state = here()
    assert decide(state, reader(), TERMS._replace(schedule_id=2)) is EntryResult.UNCHANGED
    assert decide(state, reader(), MOVING) is EntryResult.UPDATED
    assert state.schedule_id == 2
    assert [event.kind for event in state.events] == [ConsentKind.CHANGED]


def test_when_and_where_they_signed_up_is_kept() -> None:
    state, opted_in = nobody(), NOW - 500 * DAY
    decide(state, reader(opted_in_at=opted_in, opt_in_ip="192.0.2.1"), TERMS)
    (event,) = state.events
    assert (event.kind, event.at, event.ip) == (ConsentKind.IMPORTED, opted_in, "192.0.2.1")
    assert event.source == "import f.csv: fair, line 2; imported 2026-11-24T06:00:00Z"
    assert state.since == NOW


def test_of_somebody_who_left_there_both_times_are_kept() -> None:
    state, opted_in, left = nobody(), NOW - 9 * DAY, NOW - 2 * DAY
    decide(state, reader(LEFT, opted_in_at=opted_in, opt_in_ip="::1", left_at=left), TERMS)
    assert [(event.kind, event.at, event.ip) for event in state.events] == [
        (ConsentKind.IMPORTED, opted_in, "::1"),
        (ConsentKind.UNSUBSCRIBED, left, None),
    ]
    assert (state.since, state.left_at) == (opted_in, left)


def test_no_time_lies_in_the_future() -> None:
    state = nobody()
    decide(state, reader(LEFT, opted_in_at=NOW + DAY, left_at=NOW + 2 * DAY), TERMS)
    assert (state.since, state.left_at) == (NOW, NOW)
    assert {event.at for event in state.events} == {NOW}


def may_mail(state: ReaderState) -> bool:
    stops = (state.suppression, state.suppression_here, state.left_at)
    return state.subscribed and not any(stops)


_TIMES = st.none() | st.sampled_from([NOW - 2 * DAY, NOW - DAY, NOW])
_ROWS = st.builds(
    lambda status, reason, left_at: reader(status, reason=reason, left_at=left_at),
    st.sampled_from(list(ReaderStatus)),
    st.sampled_from([BOUNCED, COMPLAINED, STAFF]),
    _TIMES,
)


@given(rows=st.lists(_ROWS, min_size=1, max_size=4), confirmed=_TIMES)
def test_in_whichever_order_the_rows_come_the_same_people_are_mailed(
    rows: list[NewReader], confirmed: datetime | None
) -> None:
    for known in (True, False):
        ends = set()
        for order in itertools.permutations(rows):
            state = here(confirmed_at=confirmed, reachable_at=confirmed) if known else nobody()
            for row in order:
                decide(state, row, TERMS)
            ends.add(may_mail(state))
        assert len(ends) == 1


@given(rows=st.lists(_ROWS, min_size=1, max_size=5))
def test_the_same_rows_once_more_change_nothing(rows: list[NewReader]) -> None:
    state = nobody()
    for row in rows:
        decide(state, row, TERMS)
    state.changes, state.events = set(), []
    before = replace(state)
    for row in rows:
        decide(state, row, TERMS)
    assert state == before
