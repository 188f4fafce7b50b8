"""A notice whose final dot is never answered: it is sent once more, with the same Message-ID, and no more."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.models import DeliveryStatus, Notice
from mailer.sending.flow_control.retry_plan import RetryPlan
from tests.support.receiver import Answer, fine, pipelining, plain
from tests.support.sending import Post
from tests.support.waiting import wait_until

PLAN = RetryPlan((timedelta(seconds=0.05),), timedelta(hours=48))


def drops(verb: str, argument: str) -> str | None:
    """Takes what is for the odd address, and says nothing."""
    return None if verb == "DOT" and argument == "odd@example.com" else fine(verb, argument)


@pytest.mark.parametrize(("resend", "copies"), [(True, 2), (False, 1)], ids=["resend", "hold"])
@pytest.mark.parametrize("offering", [plain, pipelining])
def test_a_notice_in_doubt_is_sent_once_more_and_then_stays(
    post: Post, offering: Callable[[Answer], Answer], resend: bool, copies: int
) -> None:
    post.notice(address="odd@example.com")

    def notice() -> Notice:
        with post.database.read() as session:
            return session.scalars(select(Notice).order_by(Notice.id).limit(1)).one()

    with post.relay(offering(drops), retry=PLAN, resend=resend) as relay:
        wait_until(lambda: notice().in_doubt == copies)
        # What comes in later is sent, and takes longer than a third copy would.
        post.build(20)
        wait_until(post.is_sent)
    found = notice()
    assert found.status is DeliveryStatus.UNKNOWN
    assert found.in_doubt == found.attempts == copies
    ids = [mail.header("Message-ID") for mail in relay.mails if mail.recipient == "odd@example.com"]
    assert (len(ids), len(set(ids))) == (copies, 1)
    assert post.counts().in_doubt == 0
