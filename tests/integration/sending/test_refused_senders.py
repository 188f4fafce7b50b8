"""A newsletter whose address the relay refuses: it stops, staff are told, and all others go on."""

import pytest
from sqlalchemy import select, update

from mailer.db import Database
from mailer.ledger import digest_state
from mailer.message.options.mail_options import MailOptions
from mailer.message.return_address import BounceAddress
from mailer.models import (
    Delivery,
    DeliveryStatus,
    DigestStatus,
    Installation,
    Newsletter,
    Notice,
    NoticeKind,
)
from tests.support import factories
from tests.support.factories import NOW
from tests.support.receiver import Answer, Mail, Receiver, fine, pipelining
from tests.support.sending import Post, counts
from tests.support.waiting import wait_until

S = DeliveryStatus

CONNECTIONS = 4
STAFF = "desk@news.example"
REFUSED = "550 5.7.1 <b@news.example>: sender address rejected"


def build(post: Post, slug: str, readers: int) -> int:
    """A digest from slug@news.example to slug1@example.com and so on; its id."""
    with post.database.write() as session:
        sender = f"{slug}@news.example"
        newsletter = factories.newsletter(session, slug, title=f"News {slug}", from_address=sender)
        schedule = factories.schedule(session, newsletter)
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest, from_address=sender)
        for number in range(1, readers + 1):
            reader = factories.reader(session, post.keys, schedule, f"{slug}{number}@example.com")
            factories.delivery(session, edition, reader)
        found: int = digest.id
        return found


def notice(post: Post, slug: str, **values: object) -> int:
    """A confirmation from this newsletter."""
    with post.database.read() as session:
        newsletter = session.scalars(select(Newsletter).where(Newsletter.slug == slug)).one()
    sender = newsletter.from_address
    return post.notice(newsletter_id=newsletter.id, from_address=sender, **values).id


def refusing(said: str, *senders: str, verb: str = "MAIL") -> Answer:
    """Takes no mail from these: says so to MAIL, or later."""
    its_sender = {"": ""}

    def answer(asked: str, argument: str) -> str | None:
        if asked == "MAIL":
            its_sender[""] = argument
        blamed = argument if verb == "MAIL" else its_sender[""]
        if asked == verb and any(f"<{one}@" in blamed for one in senders):
            return said
        return fine(asked, argument)

    return answer


def tries(relay: Receiver, slug: str) -> int:
    return sum(command.startswith(f"MAIL FROM:<{slug}@") for command in list(relay.commands))


def all_is_paused(database: Database) -> bool:
    with database.read() as session:
        return session.scalars(select(Installation.paused_at)).one() is not None


def alerts(database: Database) -> list[Notice]:
    with database.read() as session:
        return list(session.scalars(select(Notice).where(Notice.kind == NoticeKind.ALERT)))


def told(relay: Receiver) -> list[str]:
    """From whom staff had mail. A lone dot is for nobody (RFC 2920 section 3.1)."""
    return [mail.sender for mail in list(relay.mails) if mail.recipient == STAFF and mail.data]


def state(database: Database, notice_id: int) -> tuple[DeliveryStatus, int]:
    with database.read() as session:
        found = session.get_one(Notice, notice_id)
        return found.status, found.attempts


@pytest.mark.parametrize(
    ("said", "verb", "connections", "pipelines"),
    [
        (REFUSED, "MAIL", CONNECTIONS, False),
        ("553 no such sender", "MAIL", CONNECTIONS, True),
        ("451 4.1.8 domain not found", "MAIL", CONNECTIONS, True),
        # With one connection the relay of this test knows whose reader it is.
        ("550 5.1.8 bad sender", "RCPT", 1, True),
        ("451 4.1.7 bad sender", "RCPT", 1, False),
        ("550 5.1.7 bad sender", "DATA", 1, False),
    ],
)
def test_a_refused_newsletter_is_paused_and_the_other_goes_out(
    post: Post, said: str, verb: str, connections: int, pipelines: bool
) -> None:
    bad, good = build(post, "b", 40), build(post, "a", 100)
    answer = refusing(said, "b", verb=verb)
    with post.relay(pipelining(answer) if pipelines else answer, connections=connections) as relay:
        wait_until(lambda: post.is_sent(good))
        wait_until(lambda: post.digest(bad).status is DigestStatus.PAUSED)
        wait_until(lambda: told(relay))
    found = counts(post.database, bad)
    assert (found.pending, found.failed, found.in_doubt) == (40, 0, 0)
    assert {mail.recipient for mail in relay.mails if mail.data} == {
        STAFF,
        *(f"a{number}@example.com" for number in range(1, 101)),
    }
    assert told(relay) == ["a@news.example"]
    assert not all_is_paused(post.database)
    # What was begun when it was refused first, six tries, and the alert.
    assert tries(relay, "b") <= 2 * connections + 6 + 1
    [alert] = alerts(post.database)
    assert "refuses mail from this newsletter" in alert.text
    with post.database.read() as session:
        attempts = session.scalars(select(Delivery.attempts).where(Delivery.digest_id == bad))
        assert set(attempts) == {0}


def test_what_was_paused_goes_on_when_the_relay_takes_it_again(post: Post) -> None:
    bad, good = build(post, "b", 40), build(post, "a", 10)
    says = [refusing(REFUSED, "b")]
    with post.relay(lambda verb, argument: says[0](verb, argument)) as relay:
        wait_until(lambda: post.digest(bad).status is DigestStatus.PAUSED)
        says[0] = fine
        with post.database.write() as session:
            digest_state.resume_digest(session, bad, NOW)
        wait_until(lambda: post.is_sent(bad))
        assert post.is_sent(good)
        wait_until(lambda: told(relay))
    assert len(alerts(post.database)) == 1


def test_a_confirmation_of_a_refused_newsletter_stops_nothing(post: Post) -> None:
    build(post, "b", 0)
    good = build(post, "a", 100)
    waiting: list[int] = []

    def sign_up(mail: Mail) -> None:
        if mail.recipient == "a10@example.com":
            waiting.extend(notice(post, "b", address=f"c{n}@x.example") for n in range(3))

    with post.relay(refusing(REFUSED, "b"), accept=sign_up) as relay:
        wait_until(lambda: post.is_sent(good))
        wait_until(lambda: told(relay))
        wait_until(lambda: {state(post.database, one) for one in waiting} == {(S.DEFERRED, 1)})
    assert told(relay) == ["a@news.example"]
    assert [one.subject for one in alerts(post.database)] == [
        "The relay is refusing mail from News b"
    ]
    assert not all_is_paused(post.database)
    # Each of the three, and the alert before it went by another sender.
    assert tries(relay, "b") <= 4


def test_while_another_newsletter_has_not_been_tried_a_confirmation_stops_nothing(
    post: Post,
) -> None:
    build(post, "b", 0)
    waiting = notice(post, "b")
    with post.relay(refusing(REFUSED, "b")) as relay:
        wait_until(lambda: all_is_paused(post.database))
    post.change(update(Installation).values(paused_at=None, paused_reason=None))
    post.change(update(Notice).values(status=S.QUEUED, next_attempt_at=factories.NOW))
    build(post, "a", 0)
    with post.relay(refusing(REFUSED, "b")) as relay:
        wait_until(lambda: state(post.database, waiting)[0] is S.DEFERRED)
        good = build(post, "c", 20)
        wait_until(lambda: post.is_sent(good))
        wait_until(lambda: "c@news.example" in told(relay) or "a@news.example" in told(relay))
    assert not all_is_paused(post.database)


def test_when_every_sender_is_refused_all_sending_is_paused(post: Post) -> None:
    digests = [build(post, slug, 20) for slug in "ab"]
    with post.relay(refusing(REFUSED, "a", "b")) as relay:
        wait_until(lambda: all_is_paused(post.database))
    assert [post.digest(one).status for one in digests] == [DigestStatus.SENDING] * 2
    assert [counts(post.database, one).pending for one in digests] == [20, 20]
    assert relay.mails == []
    assert tries(relay, "a") + tries(relay, "b") <= 2 * CONNECTIONS + 4


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [NoticeKind.ALERT, NoticeKind.REPORT, NoticeKind.REVIEW])
def test_what_is_for_staff_goes_out_by_another_sender(post: Post, kind: NoticeKind) -> None:
    build(post, "b", 0)
    good = build(post, "a", 5)
    with post.relay(refusing(REFUSED, "b")) as relay:
        wait_until(lambda: post.is_sent(good))
        notice(post, "b", kind=kind, address=STAFF, html="x", text="x")
        wait_until(lambda: told(relay))
    assert told(relay) == ["a@news.example"]
    assert tries(relay, "b") == 1


VERP = [MailOptions(bounce_address=BounceAddress("bounce", "bounces.news.example"))]


@pytest.mark.parametrize("mail_options", VERP)
def test_envelopes_of_their_own_count_for_the_newsletter_that_they_are_from(post: Post) -> None:
    bad, good = build(post, "b", 40), build(post, "a", 100)

    def answer(verb: str, argument: str) -> str:
        # It knows from whom a mail is when it hears the reader, of whom each newsletter has its own.
        if verb == "RCPT" and argument.startswith("TO:<b"):
            return "550 5.1.8 bad sender"
        return fine(verb, argument)

    with post.relay(answer, connections=1) as relay:
        wait_until(lambda: post.is_sent(good))
        wait_until(lambda: post.digest(bad).status is DigestStatus.PAUSED)
    found = counts(post.database, bad)
    assert (found.pending, found.failed, found.in_doubt) == (40, 0, 0)
    assert not all_is_paused(post.database)
    assert len({mail.sender for mail in relay.mails if mail.recipient.startswith("a")}) == 100
    assert sum(command.startswith("RCPT TO:<b") for command in relay.commands) <= 2 + 6


@pytest.mark.parametrize("mail_options", VERP)
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_a_relay_that_refuses_the_bounce_address_stops_all_and_fails_no_mail(
    post: Post, verb: str
) -> None:
    """Its domain is that of all newsletters, so the relay means us, whoever a mail is from."""
    digests = [build(post, slug, 20) for slug in ("a", "b")]

    def answer(asked: str, argument: str) -> str:
        return "553 5.1.8 bounces.news.example is not yours" if asked == verb else fine(asked, "")

    with post.relay(answer) as relay:
        wait_until(lambda: all_is_paused(post.database))
    assert relay.mails == []
    for digest in digests:
        found = counts(post.database, digest)
        assert (found.pending, found.failed, found.in_doubt) == (20, 0, 0)
    # Few tries: nothing is gained by asking for each mail's own address.
    assert relay.count("MAIL") <= 6 * CONNECTIONS
