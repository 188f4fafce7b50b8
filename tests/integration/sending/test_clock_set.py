"""The wall clock is set while mails wait for another try: none waits for hours, or is given up early."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from mailer.clock import Times, utc_now
from mailer.models import Delivery
from mailer.sending.composer import Composer
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.send_loop import Sender
from tests.support.receiver import fine, receiver
from tests.support.sending import Post, alerts, config, sending
from tests.support.waiting import wait_until

READERS = 6
HOUR = timedelta(hours=1)


class Wall:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def set_by(self, leap: timedelta) -> None:
        self.ahead += leap

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


class Busy:
    """Turns each mail away for now, the first so many times; calls `act` once all have come once."""

    def __init__(self, times: int, act: Callable[[], None]) -> None:
        self._times = times
        self._act = act
        self._tries: Counter[str] = Counter()
        self._lock = threading.Lock()

    def says(self, verb: str, argument: str) -> str:
        if verb != "DOT":
            return fine(verb, argument)
        with self._lock:
            self._tries[argument] += 1
            if self._tries.total() == READERS:
                self._act()
            return "250 ok" if self._tries[argument] > self._times else "451 4.7.1 come again"


@pytest.mark.parametrize(
    ("leap", "wait", "give_up_after"),
    [
        # Each would wait for an hour and more.
        (-HOUR, timedelta(seconds=1), 48 * HOUR),
        (-24 * HOUR, timedelta(seconds=1), 48 * HOUR),
        # Each would be given up at the second try.
        (HOUR, timedelta(seconds=0.1), HOUR / 2),
        (24 * HOUR, timedelta(seconds=0.1), HOUR / 2),
    ],
    ids=["hour-back", "day-back", "hour-ahead", "day-ahead"],
)
def test_whoever_waits_is_tried_in_time_and_not_given_up(
    post: Post, composer: Composer, leap: timedelta, wait: timedelta, give_up_after: timedelta
) -> None:
    post.build(READERS)
    wall = Wall()
    busy = Busy(2, lambda: wall.set_by(leap))
    with receiver(busy.says) as relay:
        settings = config(
            relay.port, retry=RetryPlan((wait,), give_up_after), lease_seconds=1, connections=2
        )
        times = Times(wall=wall)
        sender = Sender(post.database, settings, composer, times=times, alerts=alerts(post.keys))
        with sending(sender):
            wait_until(post.is_sent)
    found = post.counts()
    assert (found.sent, found.failed, found.in_doubt) == (READERS, 0, 0)
    assert len(relay.mails) == READERS


def test_what_was_put_off_by_a_clock_that_was_ahead_before_it_began_is_sent(post: Post) -> None:
    post.build(READERS)
    post.change(update(Delivery).values(next_attempt_at=utc_now() + HOUR))
    relay = post.send()
    assert len(relay.mails) == READERS
