"""A digest on its way as a whole: paused within a second, resumed, and closed when nothing is left."""

from sqlalchemy import update

from mailer.ledger import digest_state
from mailer.models import Delivery, DigestStatus
from tests.support.factories import NOW
from tests.support.receiver import fine, receiver
from tests.support.sending import Post, sending
from tests.support.waiting import wait_until


def test_a_pause_stops_what_has_not_begun_and_a_resume_goes_on(post: Post) -> None:
    post.build(60)
    pauses: list[bool] = []

    def pause_at_the_tenth(verb: str, argument: str) -> str | None:
        # In the conversation itself: whatever starts after the commit would be one too many.
        if verb == "DOT" and len(relay.mails) >= 10 and not pauses:
            pauses.append(True)
            with post.database.write() as session:
                assert digest_state.pause_digest(session, post.digest_id, "by staff")
        return fine(verb, argument)

    with receiver(pause_at_the_tenth) as relay, sending(post.sender(relay.port)) as sender:
        wait_until(lambda: post.digest().status is DigestStatus.PAUSED)
        # What was on its way on four connections ends; the rest is given back.
        wait_until(lambda: post.counts().sent == len(relay.mails))
        found = post.counts()
        assert 10 < found.sent <= 10 + 2 * 4
        assert found.pending == 60 - found.sent
        with post.database.write() as session:
            assert digest_state.resume_digest(session, post.digest_id, NOW)
            assert not digest_state.resume_digest(session, post.digest_id, NOW)
        sender.wake()
        wait_until(post.is_sent)
    assert len(relay.recipients) == len(set(relay.recipients)) == 60


def test_a_resumed_digest_of_which_nothing_waits_is_closed(post: Post) -> None:
    post.build(2)
    with post.database.write() as session:
        digest_state.pause_digest(session, post.digest_id, "by staff")
        session.execute(update(Delivery).values(status="failed"))
    with receiver() as relay, sending(post.sender(relay.port)) as sender:
        assert post.digest().status is DigestStatus.PAUSED
        with post.database.write() as session:
            assert digest_state.resume_digest(session, post.digest_id, NOW)
        sender.wake()
        wait_until(post.is_sent)
        assert relay.mails == []
