"""Rows R1, R2 and R4: what is wrong with one reader is theirs alone, and one person gets one copy."""

import unicodedata
from collections import Counter
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.models import Delivery, DeliveryStatus, Digest, Edition, Subscriber
from tests.faults.conftest import SQLITE
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support import factories
from tests.support.waiting import wait_until

ROOT_TEMPLATES = Path(__file__).parents[2] / "templates"


@SQLITE
def test_a_mail_that_cannot_be_composed_fails_alone_and_with_its_reason(run: Run) -> None:
    readers = size(50, 1000)
    run.queue(readers)
    bad = "reader7@example.com>\r\nRCPT TO:<stranger@example.com"
    with run.database.write() as session:
        session.execute(
            update(Subscriber)
            .where(Subscriber.address == "reader7@example.com")
            .values(address=bad)
        )
    with run.relay() as there, run.working(there.port):
        wait_until(run.is_sent)
    found = run.judge("R1")
    failed = run.rows(DeliveryStatus.FAILED)
    assert failed.keys() == found.lost == {bad}
    assert failed[bad].reply
    assert "@example.com" not in (failed[bad].reply or "")
    assert (found.counts.sent, found.counts.failed) == (readers - 1, 1)
    assert found.adds_up
    assert (found.doubles, found.strangers) == (0, set())
    assert not any("stranger" in one for one in there.seen.commands)
    told = run.ask("delivery", "list", "--status", "failed")
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
@SQLITE
def test_a_template_that_is_broken_for_all_sends_nothing_and_says_so_at_once(
    run: Run, broken: str
) -> None:
    readers = size(5, 1000)
    templates = run.folder / "templates"
    (templates / "mail").mkdir(parents=True)
    shipped = (ROOT_TEMPLATES / "mail" / "digest.txt").read_text()
    (templates / "mail" / "digest.txt").write_text(shipped + broken)
    with run.database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(session, newsletter)
        factories.articles(session, 3, newsletter, published_at=utc_now())
        factories.many_readers(session, run.keys, schedule, readers)
    with run.relay() as there:
        said = run.command(
            *("digest", "send", "daily/morning", "--wait"),
            status=1,
            smtp_url=f"smtp://127.0.0.1:{there.port}",
            templates=str(templates),
            base_url="http://127.0.0.1:8000",
        )
        with run.database.read() as session:
            waiting = session.scalar(select(func.count()).select_from(Delivery))
            editions = session.scalar(select(func.count()).select_from(Edition))
    run.note("R2", readers=readers, unexpected=len(run.accepted()))
    assert "error: " in said
    assert "digest.txt" in said
    assert "Traceback" not in said
    assert (waiting, editions) == (0, 0)
    assert there.count("MAIL") == 0


@SQLITE
def test_one_person_gets_one_copy_however_they_are_written(run: Run) -> None:
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
    with run.database.write() as session:
        daily = factories.newsletter(session)
        sport = factories.newsletter(session, "sport", title="Sport")
        factories.schedule(session, daily)
        factories.schedule(session, sport, "evening")
        titles = [
            one.title
            for one in factories.articles(session, 3, daily, sport, published_at=utc_now())
        ]
    for slug, order in (("daily", 1), ("sport", -1)):
        file = run.folder / f"{slug}.csv"
        written = [address for one in people for address in one[::order]]
        file.write_text("\n".join(["email", *written]) + "\n")
        given = ("--newsletter", slug, "--consent-source", "paper")
        assert run.ask("subscriber", "import", str(file), *given)["added"] == len(people)
    with run.relay() as there:
        for name in ("daily/morning", "sport/evening"):
            relay_url = f"smtp://127.0.0.1:{there.port}"
            run.command("digest", "send", name, "--wait", smtp_url=relay_url)
    got = Counter(mail.recipient for mail in there.seen.mails)
    run.note("R4", readers=len(people), doubled=got.total() - len(people))
    with run.database.read() as session:
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
