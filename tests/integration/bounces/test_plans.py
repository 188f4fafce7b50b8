"""How what comes back is recorded: in a fixed number of statements, none of which reads a whole table."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.bounces import watch
from mailer.bounces.rates import StopLimits
from mailer.db import Database
from mailer.models import EvidenceKind
from mailer.tokens import Keys
from tests.support import factories
from tests.support.bounces import SentDigest, report, sent_digest
from tests.support.factories import NOW
from tests.support.sending import alerts
from tests.support.statements import Statements, statements

DAY = timedelta(days=1)
WHOLE = re.compile(
    r"SCAN (delivery|bounce_event|subscriber|subscription|notice|suppression|consent_event)\b"
    r"|Seq Scan on (delivery|bounce_event|subscriber|subscription|notice|suppression|consent_event)\b"
)


@pytest.fixture
def digests(database: Database, keys: Keys) -> Sequence[SentDigest]:
    """Five digests over two weeks to 210 readers, all of which were taken."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.many_readers(session, keys, schedule, 210)
        return [sent_digest(session, schedule, at=NOW + day * DAY) for day in (0, 4, 8, 11, 15)]


def plans(database: Database, session: Session, act: Callable[[], object]) -> list[str]:
    """The steps of the plans of all that `act` asks."""
    if not database.is_sqlite:
        # Otherwise it reads all of a table that is small.
        session.execute(text("SET LOCAL enable_seqscan = off"))
    with statements(database) as seen:
        act()
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    return [
        step
        for asked, values in zip(seen, seen.values, strict=True)
        if asked.startswith(("SELECT", "UPDATE", "INSERT INTO suppression", "DELETE"))
        for step in explained(session, f"{how} {asked}", values)
    ]


def explained(session: Session, statement: str, values: Any) -> list[str]:
    return [str(row[-1]) for row in session.connection().exec_driver_sql(statement, values)]


def record_all(session: Session, keys: Keys, digests: Sequence[SentDigest]) -> None:
    """Everything that can come back, and happen then."""
    for digest in digests:
        report(session, keys, digest.mails[:3], EvidenceKind.SOFT)
    first = digests[0]
    report(session, keys, first.mails[3:8])
    report(session, keys, first.mails[8:20])
    report(session, keys, first.mails[20:25], EvidenceKind.COMPLAINT)
    report(session, keys, first.mails[25:28], EvidenceKind.UNSUBSCRIBE)
    notice = factories.notice(session, keys)
    report(session, keys, [notice])
    watch.watch_digest(session, alerts(keys), first.id, StopLimits(), now=NOW)
    watch.warn_of_complaints(session, alerts(keys), now=NOW + DAY)


def test_nothing_reads_a_whole_table(
    database: Database, keys: Keys, digests: Sequence[SentDigest]
) -> None:
    with database.write() as session:
        steps = plans(database, session, lambda: record_all(session, keys, digests))
    assert len(steps) > 50
    assert [step for step in steps if WHOLE.search(step)] == []


@pytest.mark.parametrize("kind", [EvidenceKind.HARD, EvidenceKind.SOFT, EvidenceKind.COMPLAINT])
def test_a_hundred_reports_take_as_many_statements_as_one(
    database: Database, keys: Keys, digests: Sequence[SentDigest], kind: EvidenceKind
) -> None:
    def asked(mails: slice) -> Statements:
        with database.write() as session, statements(database) as seen:
            assert report(session, keys, digests[-1].mails[mails], kind).recorded
        return seen

    with database.write() as session:
        for digest in digests[:-1]:
            report(session, keys, digest.mails, EvidenceKind.SOFT)
    asked(slice(0, 11))
    one, many = asked(slice(11, 12)), asked(slice(12, 112))
    assert len(many) == len(one)
