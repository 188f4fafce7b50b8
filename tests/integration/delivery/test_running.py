"""A digest on its way as a whole: paused within a second, resumed, and closed when nothing is left."""

from collections.abc import Callable

from sqlalchemy import select, update

from mailer.db import Database
from mailer.delivery import running
from mailer.delivery.send import Sender
from mailer.models import Delivery, Digest, DigestStatus
from mailer.tokens import Keys
from tests.receiver import fine, receiver
from tests.sending import build, counts, is_sent, sending
from tests.waiting import wait_until


def test_a_pause_stops_what_has_not_begun_and_a_resume_goes_on(
    database: Database, keys: Keys, make_sender: Callable[..., Sender]
) -> None:
    digest_id = build(database, keys, 60)

    pauses: list[bool] = []

    def pause_at_the_tenth(verb: str, argument: str) -> str | None:
        # In the conversation itself: whatever starts after the commit would be one too many.
        if verb == "DOT" and len(relay.mails) >= 10 and not pauses:
            pauses.append(True)
            with database.write() as session:
                assert running.pause_digest(session, digest_id, "by staff")
        return fine(verb, argument)

    with receiver(pause_at_the_tenth) as relay, sending(make_sender(relay.port)) as sender:
        wait_until(lambda: _status(database) is DigestStatus.PAUSED)
        # What was on its way on four connections ends; the rest is given back.
        wait_until(lambda: counts(database, digest_id).sent == len(relay.mails))
        found = counts(database, digest_id)
        assert 10 < found.sent <= 10 + 2 * 4
        assert found.pending == 60 - found.sent
        with database.write() as session:
            assert running.resume_digest(session, digest_id)
            assert not running.resume_digest(session, digest_id)
        sender.wake()
        wait_until(lambda: is_sent(database, digest_id))
    assert len(relay.recipients) == len(set(relay.recipients)) == 60


def test_a_resumed_digest_of_which_nothing_waits_is_closed(
    database: Database, keys: Keys, make_sender: Callable[..., Sender]
) -> None:
    digest_id = build(database, keys, 2)
    with database.write() as session:
        running.pause_digest(session, digest_id, "by staff")
        session.execute(update(Delivery).values(status="failed"))
    with receiver() as relay, sending(make_sender(relay.port)) as sender:
        assert _status(database) is DigestStatus.PAUSED
        with database.write() as session:
            assert running.resume_digest(session, digest_id)
        sender.wake()
        wait_until(lambda: is_sent(database, digest_id))
        assert relay.mails == []


def _status(database: Database) -> DigestStatus:
    with database.read() as session:
        return session.scalars(select(Digest.status)).one()
