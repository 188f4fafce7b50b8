"""How fast mail goes out, and when it stops by itself: the rate, the throttle and the breaker.

Pure: the clock and chance come in as arguments. It counts and decides; the loop rests, and others pause
what is to be paused.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from mailer.sending.flow_control.back_off import Random, pause_seconds
from mailer.sending.smtp.verdict import UNSUPPORTED_EAI, OnDelivery, OnReader, OnRun, Verdict
from mailer.text.untrusted import redact

BURST_SECONDS: Final = 1.0
"""What asks us to slow down so soon after we did is about the mails from before."""

DOUBTFUL_TIMES: Final = 6
"""After a failure the relay is tried with one mail at a time and doubling rests: to end in doubt six times
takes half a minute, twenty times would take an hour."""

AT_ONCE_SECONDS: Final = 0.5
"""What ends in doubt so soon after the last one does so for the same cause."""

FEW_AT_FIRST: Final = 3
"""A digest whose first mails are all refused, up to so many, may have begun with bad addresses."""

FEW: Final = 7
"""So many refusals in a row happen to a list of which one address in twenty is bad: eight do so once in
twenty-five thousand million mails."""

REFUSED: Final = 20
WINDOW: Final = 100
"""Twenty refusals among the last hundred attempts: with one bad address in twenty the chance is one in
ten million, with one in three it is reached after sixty."""

REFUSALS_OF_US: Final = 3
"""The relay may be in the middle of a change, so it is asked three times."""

_DIGESTS_KEPT: Final = 100


@dataclass(frozen=True)
class SendRate:
    """At most `number` mails in `seconds`, of all workers together."""

    number: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Mails a second; a slow rate is a small fraction."""
        return self.number / self.seconds

    @property
    def burst(self) -> float:
        """How many may go at once: one second's worth, and at least one."""
        return max(1.0, self.per_second)


def most_to_claim(connections: int, rate: SendRate) -> int:
    """How many mails one worker may hold: for its connections and behind them, one second's worth at most.

    What is claimed is paid for and may go out all at once after a rest, so more would break the rate.
    """
    return min(2 * connections, int(rate.burst))


def filled(tokens: float, elapsed: float, rate: SendRate) -> float:
    """What is in a bucket that held `tokens` so many seconds ago; less than none have passed where the
    clock was set back."""
    return min(rate.burst, tokens + max(0.0, elapsed) * rate.per_second)


def until_next(tokens: float, rate: SendRate) -> float:
    """Seconds until a bucket with `tokens` holds a whole one."""
    return max(0.0, (1.0 - tokens) / rate.per_second)


class Throttle:
    """How many connections are used: fewer when the relay is overrun, and gradually all of them again.

    All times are seconds of one monotonic clock.

    Args:
        connections: how many there may be, at least one.
        random: spreads the pauses.

    Attributes:
        allowed: on how many a mail may be under way now.
    """

    def __init__(self, connections: int, random: Random) -> None:
        self.allowed = connections
        self._connections = connections
        self._random = random
        self._accepted = 0
        self._pauses = 0
        self._deaf_until = 0.0
        self._begin_after = 0.0

    @property
    def is_slowed(self) -> bool:
        """Whether mail goes out more slowly than the settings allow."""
        return self.allowed < self._connections or self._pauses > 0

    def slow_down(self, now: float) -> float:
        """The relay has too much to do: half as many connections, and on the last one a pause.

        Returns:
            For how many seconds no mail is to begin: twice as long each time, 0 where none is needed.
        """
        if now < self._deaf_until:
            return 0.0
        self._accepted = 0
        if self.allowed > 1:
            self.allowed //= 2
            self._deaf_until = now + BURST_SECONDS
            return 0.0
        self._pauses += 1
        seconds = pause_seconds(self._pauses, self._random)
        self._deaf_until = self._begin_after = now + seconds
        return seconds

    def went_well(self) -> None:
        """The relay took a mail. When it took one for each connection in use, another one may be used."""
        self._pauses = 0
        if self.allowed == self._connections:
            return
        self._accepted += 1
        if self._accepted >= self.allowed:
            self.allowed += 1
            self._accepted = 0

    def may_begin(self, now: float) -> bool:
        """Whether no pause is on."""
        return now >= self._begin_after


@dataclass
class _Window:
    """How the last attempts of one digest ended."""

    doubts: int = 0
    doubtful_times: int = 0
    last_doubt_at: float = -math.inf
    refusals: int = 0
    was_accepted: bool = False
    refused: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))


class Breaker:
    """Says when a digest must not go on by itself, because what happens to it is no longer about readers.

    What is in doubt because a worker ended is not to be noted here, nor what never reached the relay.

    Args:
        connections: of this worker. When the refusal comes in that is one too many, the others have a
            mail under way too: from three connections on that makes twice as many attempts at most.
    """

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._courses: dict[int, _Window] = {}

    def note(self, digest_id: int, found: Verdict, answer: str, now: float) -> str | None:
        """One attempt for this digest has ended so.

        Args:
            answer: what the relay said, or how it was lost; addresses are taken out of it.
            now: seconds of one monotonic clock.

        Returns:
            Why the digest is to be paused, in words for staff; what was noted of it is then forgotten.
        """
        if found.delivery is OnDelivery.RELEASE or found == UNSUPPORTED_EAI:
            return None
        course = self._courses.pop(digest_id, None) or _Window()
        _enter(course, found, now)
        what = self._too_many(course)
        if what is not None:
            return f"{what}: {redact(answer)}"
        # The one noted last is the last to be dropped: nobody tells us that a digest is over.
        self._courses[digest_id] = course
        if len(self._courses) > _DIGESTS_KEPT:
            del self._courses[next(iter(self._courses))]
        return None

    def _too_many(self, course: _Window) -> str | None:
        if course.doubts >= 2 * self._connections or course.doubtful_times >= DOUBTFUL_TIMES:
            return f"{course.doubts} mails in a row ended in doubt, the last one with"
        few = FEW if course.was_accepted else FEW_AT_FIRST
        if course.refusals > max(self._connections, few):
            return f"the relay refused {course.refusals} mails in a row, the last one with"
        refused = sum(course.refused)
        if refused >= REFUSED:
            return (
                f"the relay refused {refused} of the last {len(course.refused)} mails, "
                "the last one with"
            )
        return None


def _enter(course: _Window, found: Verdict, now: float) -> None:
    if found.delivery is OnDelivery.DOUBT:
        course.doubts += 1
        course.doubtful_times += now - course.last_doubt_at > AT_ONCE_SECONDS
        course.last_doubt_at = now
        return
    course.doubts = course.doubtful_times = 0
    is_refused = found.run is OnRun.COUNT or found.reader is OnReader.HARD_BOUNCE
    course.refused.append(is_refused)
    course.refusals = course.refusals + 1 if is_refused else 0
    course.was_accepted = course.was_accepted or found.delivery is OnDelivery.SENT


def why_pause_all(refusals: int, answer: str) -> str | None:
    """Why all sending is to be paused, in words for staff, or None.

    Args:
        refusals: how often in a row the relay has refused us, as `Rest` counts it. Where staff resumed
            in vain, it is asked as often again.
        answer: what it said; addresses are taken out of it.
    """
    if refusals == 0 or refusals % REFUSALS_OF_US:
        return None
    return f"the relay refuses us: {redact(answer)}"


def why_pause_sender(answer: str) -> str:
    """Why a digest is paused whose sender the relay refuses, in words for staff.

    Args:
        answer: what the relay said; addresses are taken out of it.
    """
    return f"the relay refuses mail from this newsletter's address, but accepts others: {redact(answer)}"
