"""What staff decide about mails in doubt: sent once more, or left as they are."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.ledger import digest_state, in_doubt
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus
from tests.support.factories import NOW
from tests.support.receiver import fine, receiver
from tests.support.sending import Post, sending, waiters
from tests.support.waiting import wait_until


def doubtful(post: Post, status: DigestStatus) -> int:
    """A digest in `status` of three mails: one sent, two in doubt, each of them twice."""
    post.build(3)
    post.change(update(Delivery).values(status="sent", outcome_at=NOW))
    unknown = {"status": "unknown", "in_doubt": 2, "worker_id": None}
    post.change(update(Delivery).where(Delivery.id > 1).values(unknown))
    post.change(update(Digest).values(status=status, finished_at=NOW))
    return post.digest_id


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DigestStatus.SENT, DigestStatus.SENDING),
        (DigestStatus.SENDING, DigestStatus.SENDING),
        (DigestStatus.PAUSED, DigestStatus.PAUSED),
    ],
)
def test_they_are_queued_once_more_however_often_they_were_in_doubt(
    post: Post, before: DigestStatus, after: DigestStatus
) -> None:
    digest_id = doubtful(post, before)
    with post.database.write() as session:
        assert in_doubt.count_of(session, digest_id) == 2
        assert in_doubt.resend(session, digest_id, NOW) == 2
        assert in_doubt.resend(session, digest_id, NOW) == 0
    assert post.statuses() == ["sent", "queued", "queued"]
    found = post.digest()
    assert found.status is after
    if after is DigestStatus.SENDING:
        assert found.finished_at is None
    with post.database.read() as session:
        assert in_doubt.by_digest(session) == {}


def test_nothing_is_sent_of_a_digest_that_was_cancelled(post: Post) -> None:
    digest_id = doubtful(post, DigestStatus.CANCELLED)
    with post.database.write() as session:
        assert in_doubt.resend(session, digest_id, NOW) is None
    assert post.statuses() == ["sent", "unknown", "unknown"]
    assert post.digest().status is DigestStatus.CANCELLED
    with post.database.write() as session:
        assert in_doubt.drop(session, digest_id, NOW) == 2


def test_what_is_dropped_stays_in_the_sums_and_needs_nobody(post: Post) -> None:
    digest_id = doubtful(post, DigestStatus.SENT)
    with post.database.write() as session:
        assert in_doubt.by_digest(session) == {digest_id: 2}
        assert in_doubt.drop(session, digest_id, NOW) == 2
        assert in_doubt.drop(session, digest_id, NOW + timedelta(days=1)) == 0
        assert in_doubt.by_digest(session) == {}
        assert in_doubt.count_of(session, digest_id) == 0
        # Staff have decided.
        assert in_doubt.resend(session, digest_id, NOW) == 0
    found = post.counts()
    assert (found.total, found.sent, found.unknown, found.in_doubt) == (3, 1, 2, 4)
    assert post.digest().status is DigestStatus.SENT
    with post.database.read() as session:
        at = set(session.scalars(select(Delivery.dropped_at).where(Delivery.id > 1)))
    assert at == {NOW}


def test_a_digest_of_which_nothing_is_in_doubt_stays_closed(post: Post) -> None:
    digest_id = doubtful(post, DigestStatus.SENT)
    with post.database.write() as session:
        session.execute(update(Delivery).values(status="sent"))
        assert in_doubt.resend(session, digest_id, NOW) == 0
    assert post.digest().status is DigestStatus.SENT


def test_the_same_mail_goes_out_again_and_the_digest_is_closed(post: Post) -> None:
    """The relay takes a mail and says nothing; staff have it sent once more."""
    post.build(1)

    def answer(verb: str, argument: str) -> str | None:
        return None if verb == "DOT" and not relay.mails else fine(verb, argument)

    with receiver(answer) as relay, sending(post.sender(relay.port, resend=False)) as sender:
        wait_until(post.is_sent)
        assert post.statuses() == [DeliveryStatus.UNKNOWN]
        with post.database.write() as session:
            assert in_doubt.resend(session, post.digest_id, NOW) == 1
        sender.wake()
        wait_until(lambda: post.statuses() == [DeliveryStatus.SENT])
        wait_until(post.is_sent)
        first, second = relay.mails
    assert first.header("Message-ID") == second.header("Message-ID")
    found = post.counts()
    assert (found.total, found.sent, found.in_doubt) == (1, 1, 1)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_digest_is_not_closed_over_mails_that_are_being_queued_again(post: Post) -> None:
    digest_id = doubtful(post, DigestStatus.SENDING)
    closed: list[list[int]] = []

    def close() -> None:
        with post.database.write() as session:
            closed.append(digest_state.finish_digests(session, NOW))

    closer = threading.Thread(target=close)
    with post.database.write() as session:
        assert in_doubt.resend(session, digest_id, NOW) == 2
        closer.start()
        wait_until(lambda: waiters(post.database))
    closer.join(20)
    assert closed == [[]]
    assert post.digest().status is DigestStatus.SENDING
