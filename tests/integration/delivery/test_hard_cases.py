"""What an odd relay, an odd order or an odd setting must not do to all other mail."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select, text

from mailer.db import Database
from mailer.delivery.pace import Rate
from mailer.delivery.send import Sender
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Notice
from mailer.tokens import Keys
from tests import factories
from tests.receiver import Answer, fine, pipelining, receiver
from tests.sending import build, counts, is_sent, sending
from tests.waiting import wait_until

MakeSender = Callable[..., Sender]
Offering = Callable[[Answer], Answer]

DAILY = Rate(1, 24 * 3600)


def statuses(database: Database) -> set[DeliveryStatus]:
    with database.read() as session:
        return set(session.scalars(select(Delivery.status)))


def to(reader: str, verb: str, said: str | None) -> Answer:
    """Answers `verb` with `said` whenever it is about this address."""

    def answer(asked: str, argument: str) -> str | None:
        return said if asked == verb and reader in argument else fine(asked, argument)

    return answer


def test_what_cannot_be_read_fails_alone_and_with_its_reason(
    database: Database, keys: Keys, make_sender: Callable[..., Sender]
) -> None:
    """A delivery, a notice, and a newsletter with an edition, in which a date is none."""
    digest_id = build(database, keys, 4)
    with database.write() as session:
        evening = factories.schedule(session, factories.newsletter(session, "sport"), "evening")
        second = factories.digest(session, evening)
        edition = factories.edition(session, second)
        other = factories.reader(session, keys, evening, "other@example.com")
        factories.delivery(session, edition, other)
        for address in ("newcomer1@example.com", "newcomer2@example.com"):
            factories.notice(session, keys, address)
        for table, column, row in (
            ("delivery", "created_at", "(SELECT min(id) FROM delivery)"),
            ("notice", "created_at", "(SELECT min(id) FROM notice)"),
            ("newsletter", "created_at", "(SELECT max(id) FROM newsletter)"),
        ):
            session.execute(
                text(f"UPDATE {table} SET {column} = :never WHERE id = {row}"),
                {"never": "no date" if database.is_sqlite else "infinity"},
            )
    failed = []
    with receiver() as there, sending(make_sender(there.port)):
        wait_until(lambda: is_sent(database, digest_id) and is_sent(database, second.id))
        for table in (Delivery, Notice):
            statement = select(table.reply).where(table.status == DeliveryStatus.FAILED)
            with database.read() as session:
                failed += session.scalars(statement).all()
    assert there.recipients == [
        "newcomer2@example.com",
        *(f"reader{number}@example.com" for number in (2, 3, 4)),
    ]
    assert len([reply for reply in failed if "cannot be read" in reply]) == len(failed) == 3


def test_a_reply_that_no_database_can_hold_is_recorded_all_the_same(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    digest_id = build(database, keys, 3)
    with (
        receiver(to("", "DOT", "250 ok\0\x1b[2J\r\x07 queued")) as relay,
        sending(make_sender(relay.port)),
    ):
        wait_until(lambda: is_sent(database, digest_id))
    assert len(relay.mails) == 3
    with database.read() as session:
        for reply in session.scalars(select(Delivery.reply)):
            assert reply == "ok [2J queued"


@pytest.mark.parametrize("said", ["421 4.7.0 not you", None])
@pytest.mark.parametrize("offering", [lambda answer: answer, pipelining])
def test_one_reader_at_whom_the_relay_hangs_up_holds_up_nobody_else(
    database: Database, keys: Keys, make_sender: MakeSender, said: str | None, offering: Offering
) -> None:
    digest_id = build(database, keys, 30)
    with (
        receiver(offering(to("reader1@", "RCPT", said))) as relay,
        sending(make_sender(relay.port)),
    ):
        wait_until(lambda: counts(database, digest_id).sent == 29)


def test_a_mail_at_which_the_relay_hangs_up_again_and_again_is_turned_away(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    build(database, keys, 1)
    newcomers = iter(range(1000))

    def others_come() -> bool:
        """As long as others are taken it is this mail, and not the relay."""
        with database.write() as session:
            factories.notice(session, keys, address=f"newcomer{next(newcomers)}@example.com")
        return statuses(database) == {DeliveryStatus.DEFERRED}

    with (
        receiver(to("reader1@", "RCPT", "421 4.7.0 not you")) as relay,
        sending(make_sender(relay.port)),
    ):
        wait_until(others_come, every=0.1)
    assert relay.mails


def test_one_confirmation_at_which_the_relay_hangs_up_holds_up_nobody_else(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    with database.write() as session:
        factories.notice(session, keys, address="odd@example.com")
    digest_id = build(database, keys, 10)
    with (
        receiver(to("odd@", "RCPT", "421 4.7.0 not you")) as relay,
        sending(make_sender(relay.port)),
    ):
        wait_until(lambda: is_sent(database, digest_id))


def test_a_digest_that_is_done_is_closed_while_another_goes_on(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    with database.write() as session:
        newsletter = factories.newsletter(session)
        found = []
        for name, number in (("large", 300), ("small", 2)):
            schedule = factories.schedule(session, newsletter, name=name)
            digest = factories.digest(session, schedule)
            edition = factories.edition(session, digest)
            for reader in range(number):
                key = f"{name}{reader}@example.com"
                subscription = factories.reader(session, keys, schedule, key)
                factories.delivery(session, edition, subscription)
            found.append(digest.id)
    large, small = found
    go_on = threading.Event()

    def slow(verb: str, argument: str) -> str | None:
        if verb == "DOT":
            go_on.wait(0.05)
        return fine(verb, argument)

    with receiver(slow) as relay, sending(make_sender(relay.port, connections=2)):
        wait_until(lambda: is_sent(database, small))
        assert not is_sent(database, large)
        go_on.set()
        wait_until(lambda: is_sent(database, large))


def test_a_token_that_bought_nothing_is_there_for_what_comes_next(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    with receiver() as relay, sending(make_sender(relay.port, rate=DAILY)) as sender:
        wait_until(lambda: not sender._stock.hungry)
        with database.write() as session:
            factories.notice(session, keys)
        wait_until(lambda: relay.mails)


def test_a_token_of_a_mail_that_was_not_begun_is_there_when_the_relay_is_back(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    with database.write() as session:
        factories.notice(session, keys)
    away = [True]

    def greet(verb: str, argument: str) -> str | None:
        return None if verb == "CONNECT" and away[0] else fine(verb, argument)

    with receiver(greet) as relay, sending(make_sender(relay.port, rate=DAILY)):
        wait_until(lambda: relay.connections)
        away[0] = False
        wait_until(lambda: relay.mails)


def test_a_relay_for_which_every_mail_is_too_large_stops_the_digest(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    digest_id = build(database, keys, 100)

    def small(verb: str, argument: str) -> str | None:
        return "250-relay\r\n250 SIZE 100" if verb == "EHLO" else fine(verb, argument)

    def is_over() -> bool:
        with database.read() as session:
            found = session.get_one(Digest, digest_id).status
            return found is not DigestStatus.SENDING

    with receiver(small) as relay, sending(make_sender(relay.port)):
        wait_until(is_over)
    with database.read() as session:
        digest = session.get_one(Digest, digest_id)
    assert digest.status is DigestStatus.PAUSED
    assert "100" in (digest.reason or "")
    assert counts(database, digest_id).failed <= 10
