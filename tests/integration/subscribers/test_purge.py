"""What strangers typed is forgotten in time, a few rows in each transaction, by indexes."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from mailer.address import parse
from mailer.db import Database
from mailer.models import (
    ClientRequest,
    ConsentEvent,
    ConsentKind,
    DeliveryStatus,
    Notice,
    NoticeKind,
    Schedule,
    Signup,
    SignupChoice,
)
from mailer.newsletters.offer import Publisher, offer
from mailer.subscribers import purge
from mailer.subscribers.entering.decide import NewReader
from mailer.subscribers.entering.enter import enter
from mailer.subscribers.importing.rows import ImportRow
from mailer.subscribers.readers import open_signups
from mailer.subscribers.signup import ScheduleChoice
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW
from tests.support.traces import columns_with

DAY = timedelta(days=1)
CLIENTS = 1095 * DAY


def forget(session: Session, counted: timedelta = DAY) -> dict[str, int]:
    """Run every act once."""
    found = purge.due_purges(limit_span=counted, client_retention=CLIENTS, now=NOW)
    return {what: act(session) for what, act in found.items()}


def leave_traces(session: Session, keys: Keys, schedule: Schedule) -> None:
    """One thing for each act to forget."""
    old = NOW - CLIENTS
    factories.signup(session, keys, schedule, created_at=NOW, expires_at=old)
    factories.signup(session, keys, schedule, created_at=old, confirmed_at=old)
    factories.notice(session, keys, status=DeliveryStatus.SENT, outcome_at=old)
    factories.consent_event(session, keys, at=old, ip="192.0.2.7")
    session.add(ClientRequest(network="192.0.2.0/24", at=old))
    session.flush()


def test_sign_ups_that_nobody_confirmed_are_purged_with_what_they_left(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        for address, created, confirmed in (
            ("old@example.com", NOW - 9 * DAY, None),
            ("kept@example.com", NOW - 9 * DAY, NOW - 8 * DAY),
            ("counts@example.com", NOW - 7.5 * DAY, None),
            ("new@example.com", NOW, None),
        ):
            signup = factories.signup(
                session, keys, schedule, address,
                created_at=created, expires_at=created + 7 * DAY, confirmed_at=confirmed,
            )  # fmt: skip
            factories.notice(session, keys, address, signup_id=signup.id)
            factories.consent_event(
                session, keys, address,
                signup_public_id=signup.public_id, ip="192.0.2.1", user_agent="B/1",
            )  # fmt: skip

        assert [forget(session)["expired sign-ups"] for _ in range(2)] == [1, 0]

        kept = {"kept@example.com", "counts@example.com", "new@example.com"}
        assert set(session.scalars(select(Signup.address))) == kept
        assert session.scalar(select(func.count()).select_from(SignupChoice)) == 3
        blank = session.execute(
            select(ConsentEvent.address, ConsentEvent.ip, ConsentEvent.user_agent).where(
                ConsentEvent.key_hash == keys.key_hash("old@example.com")
            )
        ).one()
        assert tuple(blank) == (None, None, None)
        assert not open_signups(session, keys.key_hash("old@example.com"), now=NOW)
        assert not open_signups(session, keys.key_hash("kept@example.com"), now=NOW)
        (pending,) = open_signups(session, keys.key_hash("new@example.com"), now=NOW)
        assert pending.newsletter == "daily"


@pytest.mark.parametrize("status", DeliveryStatus)
def test_notices_that_are_finished_are_purged_by_age_and_others_stay(
    database: Database, keys: Keys, status: DeliveryStatus
) -> None:
    """Whoever asks for preferences and subscribes to nothing left an address here for ever."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        signup = factories.signup(session, keys, schedule, "anna@example.com")
        for name, at, values in (
            ("anna", NOW - DAY, {"signup_id": signup.id}),
            ("stranger", NOW - DAY, {"kind": NoticeKind.PREFERENCES}),
            ("counts", NOW - DAY + timedelta(seconds=1), {}),
            ("desk", NOW - 9 * DAY, {"kind": NoticeKind.REVIEW}),
        ):
            row = factories.notice(
                session, keys, f"{name}@example.com", status=status, outcome_at=at, **values
            )
        reviewed = factories.review(session, schedule, notice_id=row.id)
        # No review refers to the copies for other addresses.
        factories.notice(
            session, keys, "copy@example.com", status=status, outcome_at=NOW - 9 * DAY,
            kind=NoticeKind.REVIEW, review_id=reviewed.id,
        )  # fmt: skip
        finished = status.value in {"sent", "failed", "skipped", "unknown", "cancelled"}

        assert forget(session)["finished notices"] == (3 if finished else 0)

        left = {"counts@example.com", "desk@example.com"}
        aged = {"anna@example.com", "stranger@example.com", "copy@example.com"}
        others = set() if finished else aged
        assert set(session.scalars(select(Notice.address))) == left | others
        # She can still confirm.
        assert len(open_signups(session, signup.key_hash, now=NOW)) == 1


def test_notices_stay_for_a_day_however_short_the_spans_of_the_limits_are(
    database: Database, keys: Keys
) -> None:
    """One address waits ten minutes between two mails, and `status` counts a day's notices in doubt."""
    with database.write() as session:
        for at in (NOW - DAY, NOW - DAY + timedelta(seconds=1)):
            factories.notice(session, keys, status=DeliveryStatus.UNKNOWN, outcome_at=at)
        assert forget(session, timedelta(minutes=1))["finished notices"] == 1


def test_where_people_acted_is_forgotten_in_sign_ups_as_in_the_consent_log(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        for at in (NOW - CLIENTS, NOW - CLIENTS + timedelta(seconds=1)):
            factories.signup(session, keys, schedule, created_at=at, confirmed_at=at)
            factories.consent_event(session, keys, at=at, ip="192.0.2.7", user_agent="B/1")
            session.add(ClientRequest(network="192.0.2.0/24", at=NOW - (NOW - CLIENTS - at) - DAY))
        session.flush()
        assert forget(session) == {
            "counted requests": 1,
            "expired sign-ups": 0,
            "finished notices": 0,
            "old clients in the consent log": 1,
            "old clients of sign-ups": 1,
        }
        rows = session.execute(select(Signup.ip, Signup.user_agent).order_by(Signup.created_at))
        assert [tuple(row) for row in rows] == [(None, None), ("192.0.2.7", "Browser/1")]
        events = session.scalars(select(ConsentEvent).order_by(ConsentEvent.at))
        assert [(one.ip, one.user_agent, one.address) for one in events] == [
            (None, None, "reader@example.com"),
            ("192.0.2.7", "B/1", "reader@example.com"),
        ]
        assert set(forget(session).values()) == {0}


def test_each_transaction_takes_a_few_rows(
    database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "AT_ONCE", 2)
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        for _ in range(3):
            leave_traces(session, keys, schedule)
        assert [set(forget(session).values()) for _ in range(3)] == [{2}, {1}, {0}]


@contextmanager
def plans(database: Database, session: Session) -> Iterator[list[str]]:
    """How the database finds the rows of each statement that runs in `session`."""
    found: list[str] = []
    connection = session.connection()

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
        how = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        cursor.execute(how + statement, parameters)
        found.append(f"{statement}\n" + "\n".join(str(row) for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    yield found
    event.remove(connection, "before_cursor_execute", explain)


def test_nothing_is_found_by_reading_all_of_a_table(database: Database, keys: Keys) -> None:
    """Among 100,000 notices a purge of 200 sign-ups held SQLite's lock for 49 seconds."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        leave_traces(session, keys, schedule)
        if not database.is_sqlite:
            # What it would do with many rows: of few it reads all.
            session.execute(text("SET LOCAL enable_seqscan = off"))
        with plans(database, session) as found:
            forget(session)
    assert len(found) == 12
    for plan in found:
        assert not re.search(r"Seq Scan|SCAN (?!CONSTANT)\w+'", plan), plan


def test_where_people_acted_is_forgotten_whatever_they_did(database: Database, keys: Keys) -> None:
    with database.write() as session:
        for kind in ConsentKind:
            factories.consent_event(
                session, keys, at=NOW - CLIENTS, kind=kind, ip="192.0.2.7", user_agent="B/1"
            )
        assert forget(session)["old clients in the consent log"] == len(ConsentKind)
        rows = session.execute(select(ConsentEvent.kind, ConsentEvent.ip, ConsentEvent.user_agent))
        assert {tuple(row) for row in rows} == {(kind, None, None) for kind in ConsentKind}


@pytest.mark.parametrize(("opted_in", "goes_after"), [(CLIENTS, 0 * DAY), (0 * DAY, CLIENTS)])
def test_an_imported_ip_is_forgotten_by_the_time_of_the_opt_in(
    database: Database, keys: Keys, opted_in: timedelta, goes_after: timedelta
) -> None:
    row = ImportRow(2, "anna@example.com", opted_in_at=NOW - opted_in, opt_in_ip="192.0.2.77")
    reader = NewReader(
        parse(row.email), keys.key_hash(row.email), row, "import a.csv: fair, line 2"
    )
    with database.write() as session:
        factories.schedule(session, factories.newsletter(session))
        choice = ScheduleChoice(offer(session, Publisher(), "daily"))
        enter(session, [reader], choice, random=secrets.token_bytes, now=NOW)
    assert columns_with(database, "192.0.2.77")
    for at, is_there in (
        (NOW + goes_after - timedelta(seconds=1), True),
        (NOW + goes_after, False),
    ):
        purges = purge.due_purges(limit_span=DAY, client_retention=CLIENTS, now=at)
        with database.write() as session:
            purges["old clients in the consent log"](session)
        assert bool(columns_with(database, "192.0.2.77")) is is_there
