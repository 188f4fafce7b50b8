"""Keeps what `mailer doctor` found last, so that `mailer status` can repeat it without asking anybody.

Never judges, and never runs the doctor. Never commits.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.clock import format_instant
from mailer.models import Installation
from mailer.text.english import pluralise

_OLD: Final = timedelta(days=30)
_MOST_KEPT: Final = 50
_MOST_SHOWN: Final = 5


@dataclass(frozen=True)
class KeptFinding:
    """A problem or warning, as one line of text and what to do."""

    is_problem: bool
    text: str
    do: str


def keep(session: Session, findings: Sequence[KeptFinding], *, now: datetime) -> None:
    """Keep what a run found instead of what the one before found."""
    kept = json.dumps([asdict(finding) for finding in findings[:_MOST_KEPT]])
    session.execute(update(Installation).values(doctor_ran_at=now, doctor_findings=kept))


def doctor_warnings(session: Session, *, now: datetime) -> list[str]:
    """Repeat the problems of the last run; say if there was none, or if it is long ago."""
    ran_at, kept = session.execute(
        select(Installation.doctor_ran_at, Installation.doctor_findings)
    ).one()
    if ran_at is None:
        return [
            "nobody has run `mailer doctor` here; it checks DNS, the relay and the website, so run it once"
        ]
    findings = [KeptFinding(**finding) for finding in json.loads(kept or "[]")]
    problems = [finding for finding in findings if finding.is_problem]
    warnings = [
        f"{finding.text}; {finding.do} (found by `mailer doctor` at {format_instant(ran_at)})"
        for finding in problems[:_MOST_SHOWN]
    ]
    others = len(findings) - len(warnings)
    if others:
        more = pluralise(others, "more finding" if warnings else "warning")
        warnings.append(
            f"`mailer doctor` had {more} at {format_instant(ran_at)}; run it again to see"
        )
    if now - ran_at > _OLD:
        days = (now - ran_at).days
        warnings.append(
            f"`mailer doctor` ran {days} days ago; records and certificates change, so run it again"
        )
    return warnings
