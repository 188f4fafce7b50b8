"""Turns what a returned mail reports into evidence, as `mailer.bounces.evidence` records it.

Never makes evidence of what did not fail: delays, automatic replies and mails by people.
"""

from datetime import datetime
from typing import Final

from mailer.bounces.evidence import Evidence
from mailer.bounces.reading.returned import ReturnedMail
from mailer.bounces.reasons import BounceKind, Reason
from mailer.models import EvidenceKind

_KINDS: Final = {
    BounceKind.HARD: EvidenceKind.HARD,
    BounceKind.SOFT: EvidenceKind.SOFT,
    BounceKind.COMPLAINT: EvidenceKind.COMPLAINT,
}


def as_evidence(mail: ReturnedMail, *, source: str, at: datetime) -> Evidence | None:
    """Return what a returned mail says about one of ours, or None if it says nothing against it.

    Our mails have one recipient each, so several reported ones are one reader's: the gravest counts.

    Args:
        source: how the mail came, such as "pipe".
        at: when it came (aware UTC).
    """
    kind = EvidenceKind.UNSUBSCRIBE if mail.unsubscribe else _KINDS.get(mail.kind)
    if kind is None or not mail.references:
        return None
    gravest = next(
        (recipient for recipient in mail.recipients if recipient.reason is mail.reason), None
    )
    return Evidence(
        references=mail.references,
        kind=kind,
        reason=Reason.OPT_OUT if mail.unsubscribe else mail.reason,
        status=gravest.status if gravest else None,
        diagnostic=gravest.diagnostic if gravest else None,
        source=source,
        at=at,
    )
