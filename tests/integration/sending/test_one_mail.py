"""One mail at which the relay fails again and again, at the same step: it is given up, the others go on."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from mailer.clock import utc_now
from mailer.models import Delivery, DeliveryStatus
from mailer.sending.flow_control import back_off
from mailer.sending.flow_control.retry_plan import RetryPlan
from tests.support.receiver import Answer, fine, pipelining, plain
from tests.support.sending import Post
from tests.support.waiting import wait_until

BAD = "reader1@example.com"
READERS = 30
SAYS_421 = "421 4.3.0 not this one"

WAYS = pytest.mark.parametrize("offering", [plain, pipelining])


class Choosy:
    """Fails at one step of the mails that are so large, or that are for the bad reader.

    Attributes:
        tries: how often it did.
    """

    def __init__(self, verb: str, said: str | None, *, size: int | None = None) -> None:
        self.tries = 0
        self._verb = verb
        self._said = said
        self._size = size
        self._of = threading.local()

    def says(self, verb: str, argument: str) -> str | None:
        if verb == "MAIL":
            size = int(argument.partition("SIZE=")[2].split()[0])
            self._of.is_bad = self._size is not None and size > self._size
        if verb == "RCPT":
            self._of.is_bad = self._size is None and BAD in argument
        if verb == self._verb and self._of.is_bad:
            self.tries += 1
            return self._said
        return fine(verb, argument)


def waits_long(row: Delivery) -> bool:
    """Whether it waits as the plan wants it, which is an hour here, and not only until others were tried."""
    soon: datetime = utc_now() + timedelta(minutes=30)
    return row.status is DeliveryStatus.DEFERRED and row.next_attempt_at > soon


@WAYS
@pytest.mark.parametrize(
    ("verb", "said"),
    [("RCPT", SAYS_421), ("RCPT", None), ("DATA", SAYS_421), ("DATA", None), ("DOT", SAYS_421)],
)
def test_where_others_are_taken_it_waits_its_time_and_holds_up_nobody(
    post: Post, verb: str, said: str | None, offering: Callable[[Answer], Answer]
) -> None:
    post.build(READERS)
    choosy = Choosy(verb, said)
    newcomers = iter(range(1000))

    def others_come() -> bool:
        post.notice(address=f"newcomer{next(newcomers)}@example.com")
        return waits_long(post.delivery_to(BAD))

    with post.relay(offering(choosy.says)):
        wait_until(lambda: post.counts().sent == READERS - 1)
        wait_until(others_come, every=0.1)
    assert choosy.tries <= 10
    assert post.counts().in_doubt == 0


@WAYS
@pytest.mark.parametrize("said", [SAYS_421, None])
def test_a_digest_at_whose_size_it_hangs_up_holds_up_no_other(
    post: Post, said: str | None, offering: Callable[[Answer], Answer]
) -> None:
    """MAIL names the size, so what fails there may be about the mail too (RFC 1870)."""
    for name, text in (("big", "long " * 20_000), ("small", "short")):
        post.build(3, name, name, text=text)
    choosy = Choosy("MAIL", said, size=50_000)
    with post.relay(offering(choosy.says)) as relay:
        wait_until(lambda: post.counts().sent == 3)
    assert sorted(relay.recipients) == [f"small{number}@example.com" for number in (1, 2, 3)]


@WAYS
@pytest.mark.parametrize(
    ("verb", "said"),
    [("MAIL", SAYS_421), ("MAIL", None), ("RCPT", SAYS_421), ("DATA", None), ("DOT", SAYS_421)],
)
def test_where_nothing_else_waits_it_is_given_up_in_time(
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    said: str | None,
    offering: Callable[[Answer], Answer],
) -> None:
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(back_off, "LONGEST_PAUSE_SECONDS", 0.05)
    post.build(1)
    choosy = Choosy(verb, said, size=0 if verb == "MAIL" else None)
    plan = RetryPlan((timedelta(seconds=0.05),), timedelta(seconds=0.2))
    began = time.monotonic()
    with post.relay(offering(choosy.says), retry=plan) as relay:
        wait_until(lambda: post.counts().failed == 1)
    seconds = time.monotonic() - began
    row = post.delivery_to(BAD)
    assert (row.step, row.in_doubt) == (verb.lower(), 0)
    # It is tried again, and rests between two tries: it is no busy loop.
    assert 2 <= choosy.tries <= 4 * (1 + seconds / 0.016)
    assert relay.mails == []
