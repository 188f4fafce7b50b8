"""Holds what one report of a provider says, in words that all providers share. Pure.

Corrects a provider's verdict where the receiving host's own words say more: some providers call every
permanent refusal a hard bounce, also one for spam, which says nothing about the reader.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from mailer.bounces.evidence import EVIDENCE_KINDS, Evidence, EvidenceKind
from mailer.bounces.reading.diagnosis import diagnose, find_numbers
from mailer.bounces.reasons import BounceKind, Reason

_LONGEST_READ: Final = 1000


class KindAndReason(NamedTuple):
    """What an event of a provider says about a mail."""

    kind: EvidenceKind
    reason: Reason


UNSUBSCRIBED: Final = KindAndReason(EvidenceKind.UNSUBSCRIBE, Reason.OPT_OUT)


class ProviderEvent(NamedTuple):
    """One report.

    Attributes:
        name: what the provider calls it, for a log.
        is_known: whether the provider's pages name it, so that we know what it means.
        evidence: none if it says nothing that counts, such as that a mail was delivered.
    """

    name: str
    is_known: bool
    evidence: tuple[Evidence, ...] = ()


class HostAnswer(NamedTuple):
    """What the receiving host said, as far as a provider passes it on: an enhanced status, and its words."""

    status: str | None = None
    said: str | None = None


NO_ANSWER: Final = HostAnswer()


def host_answer(said: str | None, status: str | None = None) -> HostAnswer:
    """Return an answer with the first status (RFC 3463) in `status` or in what was said."""
    texts = [text[:_LONGEST_READ] for text in (status, said) if text]
    found = (find_numbers(text)[1] for text in texts)
    return HostAnswer(
        next((one for one in found if one), None), said[:_LONGEST_READ] if said else None
    )


def judge(
    reason: Reason, answer: HostAnswer = NO_ANSWER, *, is_open: bool = False
) -> KindAndReason:
    """Say what a bounce or a complaint for this reason means.

    Args:
        answer: tells more about a bounce than the provider does, perhaps that it is soft.
        is_open: the provider does not know the reason, so the answer may also tell that it is hard.
    """
    is_hard = reason.kind is BounceKind.HARD
    if answer != NO_ANSWER and (is_hard or reason is Reason.OTHER):
        told = diagnose(answer.status, answer.said or "", "")
        is_soft = told.kind is BounceKind.SOFT and told is not Reason.OTHER
        if is_soft or (told.kind is BounceKind.HARD and (is_hard or is_open)):
            reason = told
    return KindAndReason(EVIDENCE_KINDS[reason.kind], reason)


def evidence(
    found: KindAndReason,
    source: str,
    references: Sequence[str],
    answer: HostAnswer = NO_ANSWER,
    *,
    now: datetime,
) -> tuple[Evidence, ...]:
    """Make the evidence for one mail.

    It is dated to when it came: providers report within minutes, and their clocks and zones are not ours.
    """
    return (
        Evidence(
            references=tuple(references),
            kind=found.kind,
            reason=found.reason,
            status=answer.status,
            diagnostic=answer.said,
            source=source,
            at=now,
        ),
    )
