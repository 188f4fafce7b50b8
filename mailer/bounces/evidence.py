"""Records what was reported about mails, once for each mail and kind, and lets it have its effect.

Never acts on a report whose reference does not verify: a forged one reaches nobody. Never commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailer.bounces import effects, events
from mailer.bounces.events import Reported
from mailer.bounces.mails import find_mails
from mailer.bounces.reasons import BounceKind, Reason
from mailer.models import EvidenceKind
from mailer.tokens import Keys

__all__ = ["EVIDENCE_KINDS", "Evidence", "EvidenceKind", "Recorded", "record"]

EVIDENCE_KINDS: Final = {
    BounceKind.HARD: EvidenceKind.HARD,
    BounceKind.SOFT: EvidenceKind.SOFT,
    BounceKind.COMPLAINT: EvidenceKind.COMPLAINT,
}
"""What is recorded of what came back; the other kinds say nothing against a mail."""


@dataclass(frozen=True)
class Evidence:
    """What was reported about one mail, before it is known whether the mail is ours.

    Attributes:
        references: what may be the mail's reference, the most trusted first; the first that verifies counts.
        status: such as "5.1.1".
        diagnostic: what the receiving host said, as one line; addresses are taken out of it.
        source: how the report came: "pipe", "maildir", "imap", "ses", "mailgun", "postmark", "brevo".
        at: when it was reported (aware UTC).
    """

    references: tuple[str, ...]
    kind: EvidenceKind
    reason: Reason
    status: str | None
    diagnostic: str | None
    source: str
    at: datetime


class Recorded(NamedTuple):
    """How many reports were recorded, had been recorded before, or are about no mail of ours."""

    recorded: int
    repeated: int
    unknown: int


def record(
    session: Session, evidence: Sequence[Evidence], keys: Keys, *, now: datetime
) -> Recorded:
    """Record these reports, and do what follows from those that are new.

    A complaint stops all mail to its reader, an unsubscription ends their subscription, and bounces count by
    `mailer.bounces.policy`. The same report twice counts once.
    """
    mails = find_mails(session, [one.references for one in evidence], keys)
    reports = [
        Reported(
            mail=mail,
            kind=one.kind,
            reason=one.reason,
            status=one.status,
            diagnostic=one.diagnostic,
            source=one.source,
            # The clock of the reporting system may be wrong.
            at=min(max(one.at, mail.mailed_at), now),
        )
        for one, mail in zip(evidence, mails, strict=True)
        if mail is not None
    ]
    recorded = events.write(session, reports, now=now)
    effects.follow(session, reports, recorded, now=now)
    return Recorded(
        recorded=len(recorded),
        repeated=len(reports) - len(recorded),
        unknown=len(evidence) - len(reports),
    )
