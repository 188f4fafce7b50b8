"""What staff decide about mails in doubt: sent once more, or left as they are."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from mailer.db import Database
from mailer.delivery import doubt, running
from mailer.delivery.send import Sender
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus
from mailer.tokens import Keys
from tests.factories import NOW
from tests.receiver import fine, receiver
from tests.sending import build, counts, is_sent, sending
from tests.waiting import wait_until


def doubtful(database: Database, keys: Keys, status: DigestStatus, in_doubt: int = 2) -> int:
    """A digest in `status` of three mails: one sent, two in doubt."""
    digest_id = build(database, keys, 3)
    with database.write() as session:
        session.execute(update(Delivery).values(status="sent", outcome_at=NOW))
        session.execute(
            update(Delivery)
            .where(Delivery.id > 1)
            .values(status="unknown", in_doubt=in_doubt, worker_id=None)
        )
        session.execute(update(Digest).values(status=status, finished_at=NOW))
    return digest_id


def statuses(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Delivery.status).order_by(Delivery.id)))


def digest(database: Database) -> Digest:
    with database.read() as session:
        return session.scalars(select(Digest)).one()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DigestStatus.SENT, DigestStatus.SENDING),
        (DigestStatus.SENDING, DigestStatus.SENDING),
        (DigestStatus.PAUSED, DigestStatus.PAUSED),
    ],
)
def test_they_are_queued_once_more_however_often_they_were_in_doubt(
    database: Database, keys: Keys, before: DigestStatus, after: DigestStatus
) -> None:
    digest_id = doubtful(database, keys, before)
    with database.write() as session:
        assert doubt.in_doubt_of(session, digest_id) == 2
        assert doubt.resend(session, digest_id, NOW) == 2
        assert doubt.resend(session, digest_id, NOW) == 0
    assert statuses(database) == ["sent", "queued", "queued"]
    found = digest(database)
    assert found.status is after
    if after is DigestStatus.SENDING:
        assert found.finished_at is None
    with database.read() as session:
        assert doubt.in_doubt(session) == {}


def test_nothing_is_sent_of_a_digest_that_was_cancelled(database: Database, keys: Keys) -> None:
    digest_id = doubtful(database, keys, DigestStatus.CANCELLED)
    with database.write() as session:
        assert doubt.resend(session, digest_id, NOW) is None
    assert statuses(database) == ["sent", "unknown", "unknown"]
    assert digest(database).status is DigestStatus.CANCELLED
    with database.write() as session:
        assert doubt.drop(session, digest_id, NOW) == 2


def test_what_is_dropped_stays_in_the_sums_and_needs_nobody(database: Database, keys: Keys) -> None:
    digest_id = doubtful(database, keys, DigestStatus.SENT)
    with database.write() as session:
        assert doubt.in_doubt(session) == {digest_id: 2}
        assert doubt.drop(session, digest_id, NOW) == 2
        assert doubt.drop(session, digest_id, NOW + timedelta(days=1)) == 0
        assert doubt.in_doubt(session) == {}
        assert doubt.in_doubt_of(session, digest_id) == 0
        # Staff have decided.
        assert doubt.resend(session, digest_id, NOW) == 0
    found = counts(database, digest_id)
    assert (found.total, found.sent, found.unknown, found.in_doubt) == (3, 1, 2, 4)
    assert digest(database).status is DigestStatus.SENT
    with database.read() as session:
        at = set(session.scalars(select(Delivery.dropped_at).where(Delivery.id > 1)))
    assert at == {NOW}


def test_a_digest_of_which_nothing_is_in_doubt_stays_closed(database: Database, keys: Keys) -> None:
    digest_id = doubtful(database, keys, DigestStatus.SENT)
    with database.write() as session:
        session.execute(update(Delivery).values(status="sent"))
        assert doubt.resend(session, digest_id, NOW) == 0
    assert digest(database).status is DigestStatus.SENT


def test_the_same_mail_goes_out_again_and_the_digest_is_closed(
    database: Database, keys: Keys, make_sender: Callable[..., Sender]
) -> None:
    """The relay takes a mail and says nothing; staff have it sent once more."""
    digest_id = build(database, keys, 1)

    def answer(verb: str, argument: str) -> str | None:
        return None if verb == "DOT" and not relay.mails else fine(verb, argument)

    with receiver(answer) as relay, sending(make_sender(relay.port, resend=False)) as sender:
        wait_until(lambda: is_sent(database, digest_id))
        assert statuses(database) == [DeliveryStatus.UNKNOWN]
        with database.write() as session:
            assert doubt.resend(session, digest_id, NOW) == 1
        sender.wake()
        wait_until(lambda: statuses(database) == [DeliveryStatus.SENT])
        wait_until(lambda: is_sent(database, digest_id))
        first, second = relay.mails
    assert first.header("Message-ID") == second.header("Message-ID")
    found = counts(database, digest_id)
    assert (found.total, found.sent, found.in_doubt) == (1, 1, 1)


def test_a_digest_is_not_closed_over_mails_that_are_being_queued_again(
    postgresql_database: Database, keys: Keys
) -> None:
    database = postgresql_database
    digest_id = doubtful(database, keys, DigestStatus.SENDING)
    closed: list[list[int]] = []

    def close() -> None:
        with database.write() as session:
            closed.append(running.finish_digests(session, NOW))

    def waits_for_a_lock() -> bool:
        question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with database.read() as session:
            return bool(session.scalar(text(question)))

    closer = threading.Thread(target=close)
    with database.write() as session:
        assert doubt.resend(session, digest_id, NOW) == 2
        closer.start()
        wait_until(waits_for_a_lock)
    closer.join(20)
    assert closed == [[]]
    assert digest(database).status is DigestStatus.SENDING
