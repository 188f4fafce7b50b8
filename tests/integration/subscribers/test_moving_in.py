"""Lists of other services: who is mailed afterwards, what is kept of them, and how they are exported."""

import csv
import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    JournalEntry,
    JournalKind,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.subscribers import purge
from mailer.subscribers.entering import csv_import
from mailer.subscribers.erase import erase
from mailer.subscribers.export import (
    SUBSCRIPTION_COLUMNS,
    SUPPRESSION_COLUMNS,
    subscription_rows,
    suppression_rows,
)
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from mailer.subscribers.readers import list_readers
from mailer.text.reader_name import reader_name
from mailer.text.spreadsheet import csv_lines
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW
from tests.support.paper import Paper
from tests.support.provider_exports import EXPORTS

DAY = timedelta(days=1)
MAILCHIMP = {
    "subscribed.csv": "Email Address,First Name,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LEID,EUID\n"
    "still@example.com,Anna,2020-02-03 04:05:06,192.0.2.1,2020-02-03 04:06:06,192.0.2.2,1,a\n"
    "left@example.com,Boris,2020-02-03 04:05:06,192.0.2.1,,,2,b\n"
    "gone@example.com,Cleo,2020-02-03 04:05:06,192.0.2.1,,,3,c\n",
    "unsubscribed.csv": "Email Address,OPTIN_TIME,CONFIRM_TIME,LEID,EUID,UNSUB_TIME,UNSUB_REASON\n"
    "left@example.com,2020-02-03 04:05:06,2020-02-03 04:05:06,2,b,2024-05-06 07:08:09,N/A\n"
    "never@example.com,2020-02-03 04:05:06,2020-02-03 04:05:06,9,d,2024-05-06 07:08:09,N/A\n",
    "cleaned.csv": "Email Address,OPTIN_TIME,CONFIRM_TIME,LEID,EUID,CLEAN_TIME,CLEAN_CAMPAIGN_ID\n"
    "gone@example.com,2020-02-03 04:05:06,2020-02-03 04:05:06,3,c,2024-05-06 07:08:09,x\n"
    "lost@example.com,2020-02-03 04:05:06,2020-02-03 04:05:06,8,e,2024-05-06 07:08:09,x\n",
}


@pytest.fixture
def paper(database: Database, keys: Keys, tmp_path: Path) -> Paper:
    return Paper(database, keys, tmp_path / "readers.csv")


def mailed(paper: Paper) -> set[str]:
    """Who gets the newsletter."""
    with paper.database.read() as session:
        return {row.address for row in list_readers(session) if row.state == "active"}


@pytest.mark.parametrize("order", list(itertools.permutations(MAILCHIMP)), ids="-".join)
def test_nobody_who_left_or_bounced_is_mailed_in_any_order_of_the_files(
    sqlite_database: Database, keys: Keys, tmp_path: Path, order: Sequence[str]
) -> None:
    _import_in_order(Paper(sqlite_database, keys, tmp_path / "x.csv"), tmp_path, order)


def test_nobody_who_left_or_bounced_is_mailed_on_postgresql_either(
    postgresql_database: Database, keys: Keys, tmp_path: Path
) -> None:
    paper = Paper(postgresql_database, keys, tmp_path / "x.csv")
    _import_in_order(paper, tmp_path, tuple(MAILCHIMP))


def _import_in_order(paper: Paper, tmp_path: Path, order: Sequence[str]) -> None:
    for name, text in MAILCHIMP.items():
        (tmp_path / name).write_text(text)
    for again in (False, True):
        for name in order:
            paper.path = tmp_path / name
            data = paper.run()
            assert not data["rejected"]
            assert data["added"] == 0 or not again
        assert mailed(paper) == {"still@example.com"}
    with paper.database.read() as session:
        left = select(Subscriber.address, Subscription.left_at).join(Subscription)
        rows = session.execute(
            left.where(Subscription.left_at.is_not(None)).order_by(Subscriber.address)
        ).all()
        reasons = session.execute(select(Suppression.address, Suppression.reason)).all()
        journal = session.execute(select(JournalEntry.kind, JournalEntry.newsletter)).all()
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert [tuple(row) for row in rows] == [("left@example.com", at), ("never@example.com", at)]
    bounced = SuppressionReason.BOUNCED
    assert sorted(map(tuple, reasons)) == [
        ("gone@example.com", bounced),
        ("lost@example.com", bounced),
    ]
    assert sorted(map(tuple, journal), key=str) == sorted(
        [*[(JournalKind.LEFT, "daily")] * 2, *[(JournalKind.SUPPRESSED, None)] * 2], key=str
    )


def test_who_was_erased_leaves_no_trace_whatever_a_file_says(paper: Paper) -> None:
    key_hash = paper.keys.key_hash("gone@example.com")
    paper.write("gone@example.com")
    paper.run()
    with paper.database.write() as session:
        erase(session, key_hash, source="test", now=NOW)
    for status in ("active", "unsubscribed", "bounced"):
        paper.path.write_text(f"email,name,status,ip\ngone@example.com,Gone,{status},192.0.2.1\n")
        assert paper.run()["skipped"] == {"unsubscribed": 0, "suppressed": 1}
    with paper.database.read() as session:
        for table in (Subscriber, Suppression, ConsentEvent):
            found = (
                select(func.count()).select_from(table).where(table.address == "gone@example.com")
            )
            assert session.scalar(found) == 0


def test_who_confirmed_here_after_leaving_there_stays(paper: Paper) -> None:
    with paper.database.write() as session:
        for address, days in (("later@example.com", 1), ("earlier@example.com", 9)):
            factories.reader(session, paper.keys, paper.morning, address)
            factories.consent_event(
                session,
                paper.keys,
                address,
                at=NOW - days * DAY,
                newsletter_id=paper.morning.newsletter_id,
            )
    left = (NOW - 5 * DAY).isoformat()
    rows = "".join(f"{name}@example.com,unsubscribed,{left}\n" for name in ("later", "earlier"))
    paper.path.write_text(f"email,status,unsubscribed at\n{rows}")

    data = paper.run()
    assert (data["unchanged"], data["skipped"]["unsubscribed"]) == (1, 1)
    assert data["recorded"] == {"unsubscribed": 1, "suppressed": 0}
    assert mailed(paper) == {"later@example.com"}


def test_where_somebody_signed_up_is_forgotten_in_time(paper: Paper) -> None:
    old, new = NOW - 1095 * DAY, NOW - 1094 * DAY
    rows = f"old@example.com,{old.isoformat()},192.0.2.1\nnew@example.com,{new.isoformat()},192.0.2.2\n"
    paper.path.write_text(f"email,opted in at,ip\n{rows}")
    paper.run()
    events = select(ConsentEvent.kind, ConsentEvent.at, ConsentEvent.ip).order_by(ConsentEvent.at)
    with paper.database.read() as session:
        before = [tuple(row) for row in session.execute(events)]
    with paper.database.write() as session:
        acts = purge.due_purges(limit_span=DAY, client_retention=1095 * DAY, now=NOW)
        for act in acts.values():
            act(session)
        after = [tuple(row) for row in session.execute(events)]

    kind = ConsentKind.IMPORTED
    assert before == [(kind, old, "192.0.2.1"), (kind, new, "192.0.2.2")]
    assert after == [(kind, old, None), (kind, new, "192.0.2.2")]


def test_a_second_import_fills_in_names(paper: Paper) -> None:
    paper.path.write_text("email,name\nanna@example.com,\nboris@example.com,Boris\n")
    paper.run()
    paper.path.write_text(
        "email,name,language\nanna@example.com,Anna,hy\nboris@example.com,Bob,xx\n"
    )
    data = paper.run()
    assert (data["updated"], data["unchanged"]) == (1, 1)
    with paper.database.read() as session:
        columns = (Subscriber.name, Subscriber.language)
        rows = session.execute(select(*columns).order_by(Subscriber.address))
        assert [tuple(row) for row in rows] == [("Anna", "hy"), ("Boris", None)]


_ROWS = st.lists(
    st.builds(
        lambda number, status, left: ImportRow(
            0,
            f"reader{number}@example.com",
            status=status,
            reason=SuppressionReason.BOUNCED if status is ReaderStatus.SUPPRESSED else None,
            left_at=left if status is not ReaderStatus.ACTIVE else None,
        ),
        st.integers(0, 3),
        st.sampled_from(list(ReaderStatus)),
        st.none() | st.just(NOW - DAY),
    )
    | st.just(RejectedRow(1, "no")),
    max_size=9,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS)
def test_a_dry_run_counts_what_a_run_does_also_of_repeated_addresses(
    sqlite_database: Database, keys: Keys, tmp_path: Path, rows: list[ImportRow | RejectedRow]
) -> None:
    """In chunks of two rows, so that most repetitions are in another chunk."""
    paper = _emptied(sqlite_database, keys, tmp_path)
    paper.write()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_import, "CHUNK", 2)
        dry, done, again = (
            paper.run(through=lambda _: iter(rows), dry_run=dry) for dry in (True, False, False)
        )
    assert dry == done
    for data in (done, again):
        sums = (data["added"], data["updated"], data["unchanged"], len(data["rejected"]))
        assert data["rows"] == sum(sums) + sum(data["skipped"].values()) == len(rows)
    assert again["recorded"] == {"unsubscribed": 0, "suppressed": 0}


_papers: dict[str, Paper] = {}


def _emptied(database: Database, keys: Keys, folder: Path) -> Paper:
    """The paper of this database, without readers."""
    paper = _papers.get(str(database.url))
    if paper is None:
        paper = _papers[str(database.url)] = Paper(database, keys, folder / "readers.csv")
    with database.write() as session:
        for table in (Subscription, Suppression, ConsentEvent, Subscriber):
            session.execute(table.__table__.delete())
    return paper


_NAMES = st.text("ab é'՚-.&", max_size=9).map(reader_name)
_INSTANTS = st.integers(1, 10**8).map(lambda seconds: NOW - timedelta(seconds=seconds))
_PEOPLE = st.lists(
    st.tuples(
        st.text("ab=+-_'", min_size=1, max_size=5),
        _NAMES,
        st.sampled_from(["hy", "de", None]),
        st.sampled_from(["active", "paused", "unsubscribed", "bounced", "complained", "blocked"]),
        _INSTANTS,
        _INSTANTS,
    ),
    max_size=6,
    unique_by=lambda person: person[0],
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=_PEOPLE)
def test_what_is_exported_comes_back_the_same_elsewhere(
    sqlite_database: Database, keys: Keys, tmp_path: Path, people: list[tuple[str, ...]]
) -> None:
    paper = _emptied(sqlite_database, keys, tmp_path)
    with sqlite_database.write() as session:
        for local, name, language, status, at, left in people:
            address = f"{local}@example.com"
            reader = factories.reader(
                session,
                keys,
                paper.morning,
                address,
                confirmed_at=at,
                paused_at=left if status == "paused" else None,
                left_at=max(at, left) if status == "unsubscribed" else None,
            )
            person = session.get_one(Subscriber, reader.subscriber_id)
            person.name, person.language = name, language
            if status in {"bounced", "complained", "blocked"}:
                reason = (
                    SuppressionReason.STAFF if status == "blocked" else SuppressionReason(status)
                )
                factories.suppression(session, keys, address, reason=reason, created_at=left)

    def files() -> tuple[list[str], list[str]]:
        with sqlite_database.read() as session:
            readers = list(csv_lines([SUBSCRIPTION_COLUMNS, *subscription_rows(session)]))
            stopped = list(csv_lines([SUPPRESSION_COLUMNS, *suppression_rows(session)]))
        return readers, stopped

    readers, stopped = files()
    paper = _emptied(sqlite_database, keys, tmp_path)
    paper.path.write_text("".join(readers), encoding="utf-8-sig", newline="")
    data = paper.run()
    assert not data["rejected"]
    again, stopped_again = files()
    # Those who are suppressed are taken back as that, and as nothing else; where they come from has changed.
    subscribed = [cells for cells in map(_cells, readers) if cells[5] not in _SUPPRESSED]
    assert [cells[:-1] for cells in map(_cells, again)] == [cells[:-1] for cells in subscribed]
    assert [cells[:3] for cells in map(_cells, stopped_again)] == [
        cells[:3] for cells in map(_cells, stopped)
    ]


_SUPPRESSED = {"bounced", "complained", "blocked"}


def _cells(line: str) -> list[str]:
    return next(csv.reader([line]))


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXPORTS)
def test_ten_thousand_readers_of_each_service(
    sqlite_database: Database, keys: Keys, tmp_path: Path, name: str
) -> None:
    """Each of them is judged by what the service's file says; a second import changes nothing."""
    paper = Paper(sqlite_database, keys, tmp_path / "x.csv")
    paper.path = EXPORTS[name].write(tmp_path, 10_000)
    done, again = paper.run(), paper.run()

    rows = list(EXPORTS[name].expected(10_000))
    people = {row.email: row for row in rows if isinstance(row, ImportRow)}
    counts = Counter(row.status for row in people.values())
    assert done["rows"] == 10_000
    assert [row["line"] for row in done["rejected"]] == [
        row for row in rows if isinstance(row, int)
    ]
    assert done["added"] == again["unchanged"] == counts[ReaderStatus.ACTIVE]
    assert (
        done["skipped"]
        == done["recorded"]
        == again["skipped"]
        == {
            "unsubscribed": counts[ReaderStatus.UNSUBSCRIBED],
            "suppressed": counts[ReaderStatus.SUPPRESSED],
        }
    )
    assert mailed(paper) == {
        email for email, row in people.items() if row.status is ReaderStatus.ACTIVE
    }
    with paper.database.read() as session:
        left = dict(
            session.execute(
                select(Subscriber.address, Subscription.left_at)
                .join(Subscription)
                .where(Subscription.left_at.is_not(None))
            ).all()
        )
        reasons = dict(session.execute(select(Suppression.address, Suppression.reason)).all())
        names = dict(session.execute(select(Subscriber.address, Subscriber.name)).all())
        opted_in = dict(
            session.execute(
                select(ConsentEvent.address, ConsentEvent.at).where(
                    ConsentEvent.kind == ConsentKind.IMPORTED
                )
            ).all()
        )
    for email, row in people.items():
        is_subscription = row.status is not ReaderStatus.SUPPRESSED
        assert reasons.get(email) == row.reason
        assert left.get(email) == (
            row.left_at or NOW if row.status is ReaderStatus.UNSUBSCRIBED else None
        )
        assert names.get(email) == (row.name if is_subscription else None)
        if is_subscription and row.opted_in_at:
            assert opted_in[email] == row.opted_in_at
