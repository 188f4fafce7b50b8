"""Decides what a reply of the relay, or its silence, means for the mail, for its reader and for the run.

Pure. The ledger and the loop do what a verdict says.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from mailer.message.smtp_codes import Meaning, meaning
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply


class Lost(StrEnum):
    """How a connection was lost while a reply was awaited."""

    DROP = "the connection was lost"
    TIMEOUT = "the relay did not answer in time"


@dataclass(frozen=True)
class Unopened:
    """Why a connection could not be opened: at which step, with what answer, and in words.

    `beside` is how many others were open when it was tried.
    """

    step: Step
    answer: Reply | Lost
    reason: str
    beside: int = 0


class OnDelivery(Enum):
    """What becomes of the mail."""

    SENT = "sent"
    DEFER = "defer"
    """It was rejected for now: `RetryPlan` says when it is tried again."""
    RELEASE = "release"
    """It waits again as if nothing had happened: the mail is not to blame."""
    FAIL = "fail"
    DOUBT = "doubt"
    """Nobody knows whether the relay has it (RFC 5321 section 4.5.3.2.6)."""


class OnReader(Enum):
    """What is learned about the reader's address."""

    NOTHING = "nothing"
    HARD_BOUNCE = "hard"
    SOFT_BOUNCE = "soft"
    """The mailbox is full. Unlike a hard bounce it is not counted against the digest."""


class OnRun(Enum):
    """What it means for all the mails after this one."""

    GO_ON = "go on"
    SLOW_DOWN = "slow down"
    COUNT = "count"
    """Too many refusals of this kind must stop the digest."""
    BACK_OFF = "back off"
    """Leave the relay alone for a while."""
    STOP = "stop"
    """The relay refuses us: only staff can mend that."""


@dataclass(frozen=True)
class Verdict:
    """What is to be done.

    Attributes:
        is_about_sender: the answer may be about who the mail is from, but not about the rest of the mail.
    """

    delivery: OnDelivery
    reader: OnReader = OnReader.NOTHING
    run: OnRun = OnRun.GO_ON
    is_about_sender: bool = False


_ABOUT_US = frozenset({Step.GREETING, Step.EHLO, Step.AUTH})
"""A relay that rejects one of these refuses our network, our name or our login."""
_ABOUT_TLS = frozenset({Step.CONNECT, Step.STARTTLS})
_BACK_OFF = Verdict(OnDelivery.RELEASE, run=OnRun.BACK_OFF)
_STOP = Verdict(OnDelivery.RELEASE, run=OnRun.STOP)
SENT = Verdict(OnDelivery.SENT)
UNSENDABLE = Verdict(OnDelivery.FAIL, run=OnRun.COUNT)
"""For a mail that we cannot make or that the relay has said it cannot take, as it would say to MAIL."""
UNSUPPORTED_EAI = Verdict(OnDelivery.FAIL)
"""For a reader whose address the relay cannot write: that says nothing about the digest or the mailbox."""


def verdict_on(step: Step, answer: Reply | Lost) -> Verdict:
    """Return what to do about this answer to this step, or about the silence after it.

    Args:
        step: `BLOCK` is any moment between 354 and the final dot.
        answer: a reply that is not a success before the final dot, any reply to the dot, or how the
            connection was lost.
    """
    if isinstance(answer, Lost):
        return Verdict(OnDelivery.DOUBT) if step is Step.DOT else _BACK_OFF
    cause = meaning(answer.code, answer.enhanced)
    # 421 at any step: the relay has not taken the mail (RFC 5321 section 3.8).
    if cause is Meaning.CLOSING or step is Step.BLOCK:
        return _BACK_OFF
    is_temporary = answer.code // 100 == 4
    if cause is Meaning.NOT_AUTHENTICATED or step in _ABOUT_US:
        return _BACK_OFF if is_temporary else _STOP
    if step in _ABOUT_TLS:
        return _BACK_OFF
    if step is Step.MAIL:
        return _on_mail(answer, cause, is_temporary)
    if answer.accepted:
        return SENT
    if step is Step.RCPT and answer.code == 552 and not _says_what_is_full(answer, cause):
        # It means "too many recipients" too, and is to be read as 452 (RFC 5321 section 4.5.3.1.10).
        return Verdict(OnDelivery.DEFER)
    verdict = _on_temporary(step, cause) if is_temporary else _on_permanent(step, answer, cause)
    # Some relays judge the sender only when they know the reader, and only the status says so.
    return replace(verdict, is_about_sender=cause is Meaning.BAD_SENDER)


def _on_mail(reply: Reply, cause: Meaning, is_temporary: bool) -> Verdict:
    # The relay does not know the reader yet, so this is about us or about the sender, or about the
    # mail's size or characters if MAIL names them (RFC 1870 section 6.1, RFC 6531 section 3.5).
    is_about_sender = cause not in (Meaning.SYSTEM, Meaning.CONGESTED)
    if is_temporary:
        return replace(_BACK_OFF, is_about_sender=is_about_sender)
    if cause is Meaning.UNSUPPORTED_EAI:
        return UNSUPPORTED_EAI
    if reply.code == 552 or cause is Meaning.TOO_BIG:
        return Verdict(OnDelivery.FAIL, run=OnRun.COUNT)
    return replace(_STOP, is_about_sender=is_about_sender)


def _on_temporary(step: Step, cause: Meaning) -> Verdict:
    is_slow = step is Step.DOT or cause is Meaning.CONGESTED
    return Verdict(OnDelivery.DEFER, run=OnRun.SLOW_DOWN if is_slow else OnRun.GO_ON)


def _says_what_is_full(reply: Reply, cause: Meaning) -> bool:
    return reply.enhanced is not None and cause in (Meaning.MAILBOX_FULL, Meaning.TOO_BIG)


def _on_permanent(step: Step, reply: Reply, cause: Meaning) -> Verdict:
    if cause is Meaning.UNSUPPORTED_EAI:
        return UNSUPPORTED_EAI
    # After RCPT a bare 550 is about the mailbox; later only an enhanced status says that it is.
    if step is Step.RCPT or reply.enhanced is not None:
        if cause is Meaning.BAD_MAILBOX:
            return Verdict(OnDelivery.FAIL, OnReader.HARD_BOUNCE)
        if cause is Meaning.MAILBOX_FULL:
            return Verdict(OnDelivery.FAIL, OnReader.SOFT_BOUNCE)
    return Verdict(OnDelivery.FAIL, run=OnRun.COUNT)
