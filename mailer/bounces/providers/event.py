"""Holds what one report of a provider says, in words that all providers share. Pure.

Corrects a provider's verdict where the status that the receiving host gave says more: some call every
permanent refusal a hard bounce, also one for spam, which says nothing about the reader.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from mailer.bounces.evidence import Evidence, EvidenceKind
from mailer.bounces.reasons import BounceKind, Reason
from mailer.message.smtp_codes import Meaning, meaning

_KINDS: Final = {
    BounceKind.HARD: EvidenceKind.HARD,
    BounceKind.SOFT: EvidenceKind.SOFT,
    BounceKind.COMPLAINT: EvidenceKind.COMPLAINT,
}
_REASONS: Final = {
    Meaning.BAD_SENDER: Reason.POLICY,
    Meaning.BAD_MAILBOX: Reason.USER_UNKNOWN,
    Meaning.MAILBOX_FULL: Reason.MAILBOX_FULL,
    Meaning.TOO_BIG: Reason.SIZE,
    Meaning.CONTENT: Reason.CONTENT,
    Meaning.UNSUPPORTED_EAI: Reason.UNSUPPORTED,
    Meaning.POLICY: Reason.POLICY,
    Meaning.CONGESTED: Reason.CONGESTED,
    Meaning.SYSTEM: Reason.SYSTEM,
    Meaning.PROTOCOL: Reason.PROTOCOL,
}
_BY_STATUS: Final = {
    "5.1.2": Reason.HOST_UNKNOWN,
    "5.1.6": Reason.MOVED,
    "5.1.10": Reason.NOT_ACCEPTING,
    "5.2.1": Reason.NOT_ACCEPTING,
    # RFC 7372 section 3, and 7.25 to 7.27 of the IANA registry.
    **{f"5.7.{detail}": Reason.AUTHENTICATION for detail in range(20, 28)},
}
"""Reasons that are more exact than what the table of codes tells apart."""

_STATUS: Final = re.compile(r"(?<![0-9.])[45]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_LONGEST_READ: Final = 5000


class Finding(NamedTuple):
    """What an event of a provider says about a mail."""

    kind: EvidenceKind
    reason: Reason


UNSUBSCRIBED: Final = Finding(EvidenceKind.UNSUBSCRIBE, Reason.OPT_OUT)


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


def finding(reason: Reason, status: str | None = None) -> Finding:
    """Say what a bounce or a complaint for this reason means; a bounce is judged by its status, too."""
    judged = _judged(reason, status)
    return Finding(_KINDS[judged.kind], judged)


def _judged(reason: Reason, status: str | None) -> Reason:
    if status is None:
        return reason
    is_permanent = status.startswith("5")
    said = _BY_STATUS.get(status) or _REASONS.get(meaning(550 if is_permanent else 450, status))
    if said is None:
        return reason
    is_soft = said.kind is BounceKind.SOFT
    if reason.kind is BounceKind.HARD:
        # Both call it hard: the status says which it is, unless it is the vaguest.
        return said if is_soft or (is_permanent and status in _BY_STATUS) else reason
    if reason is Reason.OTHER and (is_soft or is_permanent):
        return said
    return reason


def status_in(*texts: str | None) -> str | None:
    """Return the first enhanced status (RFC 3463) in these texts, such as "5.1.1"."""
    for text in texts:
        if text and (match := _STATUS.search(text[:_LONGEST_READ])):
            return match[0]
    return None


def evidence(
    found: Finding,
    source: str,
    references: Sequence[str],
    *,
    status: str | None = None,
    diagnostic: str | None = None,
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
            status=status,
            diagnostic=diagnostic and diagnostic[:_LONGEST_READ],
            source=source,
            at=now,
        ),
    )
