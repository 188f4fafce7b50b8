"""How the ledger's rows are found: never by reading what was sent, however much lies behind."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.bounces import refused_mails
from mailer.db import Database
from mailer.digests.staff_mail import report
from mailer.ledger import claims, digest_state, in_doubt, recovery
from mailer.ledger.statements import recording_and_starting, result_lists, start_values
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.models import Delivery
from mailer.models import DeliveryStatus as S
from mailer.monitoring.metrics import read_metrics
from mailer.monitoring.status import read_status
from tests.support.factories import NOW
from tests.support.statements import statements

MINUTE = timedelta(minutes=1)
QUESTIONS: dict[str, Callable[[Session], Any]] = {
    "work": lambda session: claims.work_waits(session, NOW),
    "finish": lambda session: digest_state.finish_digests(session, NOW),
    "cancel": lambda session: digest_state._cancel_deliveries(session, 1, NOW),
    "reports": report.unreported,
    "in doubt": in_doubt.by_digest,
    "dead workers": recovery.stopped_holders,
    "recover": lambda session: recovery.recover(session, [1], resend=True, now=NOW),
    "release": lambda session: claims.release(session, 1),
    "clock": lambda session: recovery.clamp_due_times(session, [MINUTE, MINUTE], NOW),
    "metrics": lambda session: read_metrics(session, lease=MINUTE, now=NOW),
    "failed": lambda session: refused_mails.read_failed_deliveries(session, 1, now=NOW),
    "status": lambda session: read_status(session, lease=MINUTE, now=NOW),
}
OF_THE_FEW = re.compile(r"ix_delivery_(waiting|held|in_doubt|failed)|pk_delivery|PRIMARY KEY")
# The first reader of a digest: whether any mail of it is finished.
OF_THE_FIRST = "uq_delivery_digest_id_subscriber_id|sqlite_autoindex_delivery_1"


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_asked_all_the_time_reads_no_row_that_was_sent(
    database: Database, question: str
) -> None:
    with database.write() as session:
        if not database.is_sqlite:
            # Otherwise it reads all of a table that is empty.
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
        with statements(database) as seen:
            QUESTIONS[question](session)
        how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        plans = [
            [str(row[-1]) for row in session.connection().exec_driver_sql(f"{how} {asked}", values)]  # type: ignore[arg-type]
            for asked, values in zip(seen, seen.values, strict=True)
            if "delivery" in asked
        ]
    found = [step for plan in plans for step in plan if reads_deliveries(step)]
    assert plans
    assert found
    for step in found:
        assert OF_THE_FEW.search(step) or (question == "reports" and re.search(OF_THE_FIRST, step))


def reads_deliveries(step: str) -> bool:
    """Whether this step of a plan finds rows of the ledger."""
    return bool(re.search(r"(SCAN|SEARCH) delivery\b|Scan .*on delivery\b", step))


def test_postgresql_finds_a_row_that_starts_or_ends_by_its_id(
    postgresql_database: Database,
) -> None:
    """By a partial index it would also pass all rows that have left it, as long as a snapshot is open."""
    result = AttemptResult(RowId(Delivery, 1), 1, 1, S.DEFERRED, "dot", 451, "later", NOW)
    kinds = {"r0_": S.SENT, "r1_": S.DEFERRED, "r2_": S.FAILED}
    statement = recording_and_starting(
        tuple((Delivery, kind) for kind in kinds.values()), (Delivery,)
    )
    values: dict[str, Any] = {"at": NOW, **start_values(1, Delivery, [2], NOW)}
    for prefix in kinds:
        values |= result_lists([result], prefix)
    compiled = statement.compiled_for(postgresql_database.engine.dialect)
    with postgresql_database.write() as session:
        cursor: Any = session.connection().connection.cursor()
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {compiled.sql}", compiled.values(values))
        found = [step for (step,) in cursor.fetchall() if reads_deliveries(step)]
    assert len(found) == len(kinds) + 1
    assert all("using pk_delivery" in step for step in found), found
