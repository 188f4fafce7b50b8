"""What an odd relay, an odd order or an odd setting must not do to all other mail."""

from collections.abc import Callable

from sqlalchemy import select

from mailer.db import Database
from mailer.delivery.pace import Rate
from mailer.delivery.send import Sender
from mailer.models import Delivery, DeliveryStatus
from mailer.tokens import Keys
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
