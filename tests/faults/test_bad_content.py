"""Rows R1, R2 and R4: what is wrong with one reader is theirs alone, and one person gets one copy."""

import json
import unicodedata
from collections import Counter
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, Digest, Edition, Subscriber
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest, rows
from tests.faults.judge import judge
from tests.faults.people import command
from tests.faults.relays import relay, size
from tests.support import factories
from tests.support.processes import accepted, working
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

ROOT_TEMPLATES = Path(__file__).parents[2] / "templates"


def test_a_mail_that_cannot_be_composed_fails_alone_and_with_its_reason(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(50, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    bad = "reader7@example.com>\r\nRCPT TO:<stranger@example.com"
    with sqlite_database.write() as session:
        session.execute(
            update(Subscriber)
            .where(Subscriber.address == "reader7@example.com")
            .values(address=bad)
        )
    with (
        relay(fast_folder / "received") as there,
        working(sqlite_database, keys, there.port, fast_folder / "log"),
    ):
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    found = judge(sqlite_database, digest_id, there.file)
    note("R1", sqlite_database, readers=readers, lost=len(found.lost - {bad}))
    failed = rows(sqlite_database, digest_id, DeliveryStatus.FAILED)
    assert failed.keys() == found.lost == {bad}
    assert failed[bad].reply
    assert "@example.com" not in (failed[bad].reply or "")
    assert (found.counts.sent, found.counts.failed) == (readers - 1, 1)
    assert found.adds_up
    assert (found.doubles, found.strangers) == (0, set())
    assert not any("stranger" in one for one in there.seen.commands)
    told = json.loads(
        command(
            sqlite_database, keys, fast_folder, "delivery", "list", "--status", "failed", "--json"
        )
    )
    assert [row["reply"] for row in told] == [failed[bad].reply]


@pytest.mark.parametrize(
    "broken",
    [
        "{% for story in stories %}",
        "{{ no_such_thing }}",
        "{% if greeting %}Hello{% endif %}",
    ],
    ids=["syntax", "unknown name", "a reader's field in logic"],
)
def test_a_template_that_is_broken_for_all_sends_nothing_and_says_so_at_once(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, broken: str
) -> None:
    readers = size(5, 1000)
    templates = fast_folder / "templates"
    (templates / "mail").mkdir(parents=True)
    shipped = (ROOT_TEMPLATES / "mail" / "digest.txt").read_text()
    (templates / "mail" / "digest.txt").write_text(shipped + broken)
    with sqlite_database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(session, newsletter)
        factories.articles(session, 3, newsletter, published_at=utc_now())
        factories.many_readers(session, keys, schedule, readers)
    with relay(fast_folder / "received") as there:
        said = command(
            sqlite_database,
            keys,
            fast_folder,
            *("digest", "send", "daily/morning", "--wait"),
            status=1,
            smtp_url=f"smtp://127.0.0.1:{there.port}",
            templates=str(templates),
            base_url="http://127.0.0.1:8000",
        )
        with sqlite_database.read() as session:
            waiting = session.scalar(select(func.count()).select_from(Delivery))
            editions = session.scalar(select(func.count()).select_from(Edition))
    note("R2", sqlite_database, readers=readers, unexpected=len(accepted(there.file)))
    assert "error: " in said
    assert "digest.txt" in said
    assert "Traceback" not in said
    assert (waiting, editions) == (0, 0)
    assert there.count("MAIL") == 0


def test_one_person_gets_one_copy_however_they_are_written(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    people = [
        ["User@Example.com", "user@EXAMPLE.com", "user@example.com"],
        [
            unicodedata.normalize("NFC", "müller@example.com"),
            unicodedata.normalize("NFD", "müller@example.com"),
            "MÜLLER@example.com",
        ],
        ["anna@bücher.example", "anna@xn--bcher-kva.example", "anna@BÜCHER.example"],
        # Who does not know what dots mean at example.com must not take these for one.
        ["first.last@example.com"],
        ["firstlast@example.com"],
    ]
    with sqlite_database.write() as session:
        daily = factories.newsletter(session)
        sport = factories.newsletter(session, "sport", title="Sport")
        factories.schedule(session, daily)
        factories.schedule(session, sport, "evening")
        titles = [
            one.title
            for one in factories.articles(session, 3, daily, sport, published_at=utc_now())
        ]
    for slug, order in (("daily", 1), ("sport", -1)):
        file = fast_folder / f"{slug}.csv"
        written = [address for one in people for address in one[::order]]
        file.write_text("\n".join(["email", *written]) + "\n")
        told = json.loads(
            command(
                sqlite_database,
                keys,
                fast_folder,
                *("subscriber", "import", str(file), "--newsletter", slug),
                *("--consent-source", "paper", "--json"),
            )
        )
        assert told["added"] == len(people)
    with relay(fast_folder / "received") as there:
        for name in ("daily/morning", "sport/evening"):
            command(
                sqlite_database,
                keys,
                fast_folder,
                *("digest", "send", name, "--wait"),
                smtp_url=f"smtp://127.0.0.1:{there.port}",
            )
    got = Counter(mail.recipient for mail in there.seen.mails)
    note("R4", sqlite_database, readers=len(people), doubled=got.total() - len(people))
    with sqlite_database.read() as session:
        total = session.scalar(select(func.count()).select_from(Delivery))
        digests = session.scalar(select(func.count()).select_from(Digest))
    # The second newsletter has nothing that anybody has not had from the first.
    assert (total, digests) == (len(people), 2)
    assert sorted(got.values()) == [1] * len(people)
    for mail in there.seen.mails:
        parsed = BytesParser(policy=policy.default).parsebytes(mail.data)
        body = parsed.get_body(("plain",))
        assert body is not None
        assert all(body.get_content().count(title) == 1 for title in titles)
