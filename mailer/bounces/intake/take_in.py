"""Takes in one mail to the bounce address: turns what it reports into evidence, and records that.

Never acts itself: `mailer.bounces.evidence` does, and only on mails of ours. Never commits.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from mailer.bounces.evidence import EVIDENCE_KINDS, Evidence, record
from mailer.bounces.reading.returned import ReturnedMail
from mailer.bounces.reasons import Reason
from mailer.models import EvidenceKind
from mailer.tokens import Keys


class TakenIn(StrEnum):
    """What became of a mail that was taken in."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    """The same was recorded before."""
    NOT_OURS = "not_ours"
    """It reports something about a mail that is not ours, or is forged."""
    NOTHING = "nothing"
    """It reports nothing: an automatic reply, a delay, or a mail by a person."""

    @property
    def is_settled(self) -> bool:
        """Whether the mail has no more use, because what it reports is recorded."""
        return self in (TakenIn.RECORDED, TakenIn.REPEATED)


def take_in(
    session: Session, mail: ReturnedMail, keys: Keys, *, source: str, now: datetime
) -> TakenIn:
    """Record what `mail` reports, if it is about a mail of ours.

    Args:
        source: how it came: "pipe", "maildir" or "imap".
        now: when it was read (aware UTC); the dates in it are written by strangers.
    """
    evidence = as_evidence(mail, source=source, at=now)
    if evidence is None:
        return TakenIn.NOTHING
    recorded, repeated, _ = record(session, [evidence], keys, now=now)
    if recorded:
        return TakenIn.RECORDED
    return TakenIn.REPEATED if repeated else TakenIn.NOT_OURS


def as_evidence(mail: ReturnedMail, *, source: str, at: datetime) -> Evidence | None:
    """Return what a returned mail says about one of ours, or None if it says nothing against it.

    Delays, automatic replies and mails by people are no evidence. Our mails have one recipient each, so
    several reported ones are one reader's: the gravest counts.

    Args:
        source: how the mail came, such as "pipe".
        at: when it came (aware UTC).
    """
    kind = EvidenceKind.UNSUBSCRIBE if mail.unsubscribe else EVIDENCE_KINDS.get(mail.kind)
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
