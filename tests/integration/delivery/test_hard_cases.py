"""What an odd relay, an odd order or an odd setting must not do to all other mail."""

import threading
from collections.abc import Callable

from sqlalchemy import select

from mailer.db import Database
from mailer.delivery.pace import Rate
from mailer.delivery.send import Sender
from mailer.models import Delivery, DeliveryStatus
from mailer.tokens import Keys
from tests import factories
from tests.receiver import Answer, fine, receiver
from tests.sending import build, is_sent, sending
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
            assert reply == "ok [2J  queued"


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
