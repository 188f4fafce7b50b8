"""Takes in one mail to the bounce address: reads it, and records what it reports.

Never acts itself: `mailer.bounces.evidence` does, and only on mails of ours. Never commits.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from mailer.bounces.evidence import record
from mailer.bounces.reading.returned import ReturnedMail
from mailer.bounces.reports import as_evidence
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
