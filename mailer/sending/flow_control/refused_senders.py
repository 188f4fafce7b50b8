"""Whose mail the relay refuses, sender by sender: whether it is that sender, or all of us.

Pure: the clock and chance come in as arguments. It judges refusals that may be about who a mail is from,
and says what rests; the loop begins no mail of it meanwhile, and others pause what is to be paused.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from mailer.sending.flow_control.back_off import Random, postponed_seconds

REFUSALS_FOR_GOOD: Final = 3
"""So many in a row stop a sender: the relay may be in the middle of a change, so it is asked three times."""

REFUSALS_FOR_NOW: Final = 6
"""The same for refusals that may pass, such as of a domain that could not be looked up: half a minute."""

_SENDERS_KEPT: Final = 1000


class SenderId(NamedTuple):
    """Who a mail is from, as a relay judges it.

    Of the envelope it is the domain alone: with an address for each mail, its local part says nothing.
    """

    from_address: str
    domain: str


NOBODY: Final = SenderId("", "")
"""Who a mail is from that cannot be made."""


def sender_id(from_address: str, envelope_sender: str) -> SenderId:
    """The sender of mails from this address, with this envelope."""
    return SenderId(from_address.lower(), envelope_sender.rpartition("@")[2].lower())


class Blame(Enum):
    """What a refusal is about, as far as one can tell."""

    US = "us"
    """No other sender is known to be accepted."""
    SENDER = "sender"
    """Others are accepted: this sender rests."""
    MAIL = "mail"
    """The relay took this sender's mail until now and knew the reader: it may be one reader's system."""


class Judgement(NamedTuple):
    """What a refusal comes to.

    Attributes:
        is_too_often: it was refused so often in a row that waiting alone will not mend it.
        rests_seconds: for how long the sender rests from now; None where it is the same refusal as before.
    """

    blame: Blame
    is_too_often: bool = False
    rests_seconds: float | None = None


@dataclass
class _Record:
    """How the last mails of one sender went."""

    is_accepted: bool = False
    is_doubted: bool = False
    refusals: int = 0
    is_probed: bool = False
    rests_until: float = 0.0
    digests: set[int] = field(default_factory=set)


class Senders:
    """How the relay takes the senders of one worker. All times are seconds of one monotonic clock.

    A sender that was refused rests, and then sends one mail at a time, until the relay takes one.

    Args:
        random: spreads the rests.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._courses: dict[SenderId, _Record] = {}

    @property
    def refused(self) -> frozenset[str]:
        """The From addresses whose last mail the relay refused."""
        return frozenset(
            sender.from_address for sender, course in self._courses.items() if course.refusals
        )

    def took(self, sender: SenderId) -> bool:
        """The relay has nothing against this sender; whether it had until now."""
        course = self._course(sender)
        was_refused = course.refusals > 0
        if was_refused:
            course.refusals, course.is_probed = 0, False
            course.digests.clear()
        course.is_accepted, course.is_doubted = True, False
        return was_refused

    def refuses(
        self,
        sender: SenderId,
        digest_id: int | None,
        now: float,
        *,
        for_good: bool,
        knew_the_reader: bool,
    ) -> Judgement:
        """The relay refused a mail, it seems for its sender.

        Args:
            digest_id: None for a notice.
            for_good: it said 5xx.
            knew_the_reader: it said so after RCPT or later.
        """
        course = self._course(sender)
        if knew_the_reader and course.is_accepted and not course.is_doubted:
            course.is_doubted = True
            return Judgement(Blame.MAIL)
        course.is_accepted = False
        if digest_id is not None:
            course.digests.add(digest_id)
        most = REFUSALS_FOR_GOOD if for_good else REFUSALS_FOR_NOW
        seconds = None
        # What was on its way when the sender was refused is refused with it: that counts once.
        if not course.refusals or course.is_probed or now >= course.rests_until:
            course.refusals, course.is_probed = course.refusals + 1, False
            seconds = self._rest(course, min(course.refusals, most), now)
        others = any(other.is_accepted for other in self._courses.values())
        blame = Blame.SENDER if others else Blame.US
        return Judgement(blame, course.refusals >= most, seconds)

    def admits(self, sender: SenderId, digest_id: int, now: float) -> bool:
        """Whether a mail of this digest may begin now. One that may while its sender is refused probes."""
        course = self._courses.get(sender)
        if course is None or not course.refusals:
            return True
        course.digests.add(digest_id)
        if now < course.rests_until:
            return False
        course.is_probed = True
        # Until it is answered no other begins. Where no answer ever comes, the next one probes.
        self._rest(course, min(course.refusals, REFUSALS_FOR_NOW), now)
        return True

    def resting(self, now: float) -> frozenset[int]:
        """The digests whose sender rests, as far as they are known."""
        return frozenset(
            digest_id
            for course in self._courses.values()
            if course.refusals and now < course.rests_until
            for digest_id in course.digests
        )

    def _rest(self, course: _Record, refusals: int, now: float) -> float:
        # Longer than a relay that refuses us rests: so others go first, and show whom it means.
        seconds = postponed_seconds(refusals, 0.0, self._random)
        course.rests_until = now + seconds
        return seconds

    def _course(self, sender: SenderId) -> _Record:
        course = self._courses.get(sender)
        if course is None:
            course = self._courses[sender] = _Record()
            if len(self._courses) > _SENDERS_KEPT:
                del self._courses[next(iter(self._courses))]
        return course
