"""What `mailer status` repeats of the last run of the doctor."""

from datetime import timedelta

import pytest

from mailer.db import Database
from mailer.monitoring.last_doctor import KeptFinding, doctor_warnings, keep
from tests.support.factories import NOW

PROBLEM = KeptFinding(is_problem=True, text="spf: news.example: there is none", do="publish one")
WARNING = KeptFinding(is_problem=False, text="dmarc: news.example: rua= is missing", do="add it")


def repeated(database: Database, *findings: KeptFinding, days: int = 0) -> list[str]:
    with database.write() as session:
        keep(session, findings, now=NOW)
    with database.read() as session:
        return doctor_warnings(session, now=NOW + timedelta(days=days))


def test_an_installation_that_was_never_examined_is_told_so(database: Database) -> None:
    with database.read() as session:
        (warning,) = doctor_warnings(session, now=NOW)
    assert "nobody has run `mailer doctor`" in warning


def test_the_last_run_counts(database: Database) -> None:
    assert repeated(database, PROBLEM) != []
    assert repeated(database) == []


def test_problems_are_repeated_with_what_to_do(database: Database) -> None:
    (warning,) = repeated(database, PROBLEM)
    assert warning.startswith(
        "spf: news.example: there is none; publish one (found by `mailer doctor` at"
    )


@pytest.mark.parametrize(
    ("findings", "last"),
    [([WARNING], "had 1 warning at"), ([PROBLEM, WARNING, WARNING], "had 2 more findings at"),
     ([PROBLEM] * 7, "had 2 more findings at")],
)  # fmt: skip
def test_the_rest_is_counted(database: Database, findings: list[KeptFinding], last: str) -> None:
    assert last in repeated(database, *findings)[-1]


def test_an_old_run_is_called_old(database: Database) -> None:
    assert repeated(database, days=30) == []
    (warning,) = repeated(database, days=31)
    assert "31 days ago" in warning


def test_no_more_is_kept_than_a_person_reads(database: Database) -> None:
    assert "had 45 more findings" in repeated(database, *[PROBLEM] * 1000)[-1]
