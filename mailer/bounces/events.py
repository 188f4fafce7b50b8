"""Writes reports about mails into the table of what comes back. Never acts on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from mailer.bounces.mails import SentMail
from mailer.bounces.reasons import Reason
from mailer.db import dialect_insert
from mailer.models import BounceEvent, Delivery, EvidenceKind
from mailer.text.untrusted import printable_line, redact

RELAY: Final = "smtp"
"""The source of what our relay refused at once."""

_AT_ONCE: Final = 200
_LONGEST_STATUS: Final = 20


@dataclass(frozen=True)
class Reported:
    """What was reported about a mail of ours; `at` is no later than now."""

    mail: SentMail
    kind: EvidenceKind
    reason: Reason
    status: str | None
    diagnostic: str | None
    source: str
    at: datetime


def write(session: Session, reports: Sequence[Reported], *, now: datetime) -> dict[int, Reported]:
    """Write these reports, except those of which the mail has one of that kind already.

    Returns:
        The new ones, by the id of their row.
    """
    written: dict[int, Reported] = {}
    # In one order, so that two processes never wait for each other's rows.
    reports = sorted(reports, key=lambda report: (report.mail.row, report.kind))
    for start in range(0, len(reports), _AT_ONCE):
        written |= _write(session, reports[start : start + _AT_ONCE], now)
    return written


def _write(session: Session, reports: Sequence[Reported], now: datetime) -> dict[int, Reported]:
    # The first report counts; PostgreSQL would find the second only in the next statement.
    by_mail: dict[tuple[str, int, EvidenceKind], Reported] = {}
    for report in reports:
        by_mail.setdefault((*report.mail.row, report.kind), report)
    statement = (
        dialect_insert(session, BounceEvent)
        .values([_columns(report, now) for report in by_mail.values()])
        .on_conflict_do_nothing()
        .returning(BounceEvent.id, BounceEvent.delivery_id, BounceEvent.notice_id, BounceEvent.kind)
    )
    written = {}
    for event_id, delivery_id, notice_id, kind in session.execute(statement):
        row = ("delivery", delivery_id) if delivery_id is not None else ("notice", notice_id or 0)
        written[event_id] = by_mail[(*row, kind)]
    return written


def _columns(report: Reported, now: datetime) -> dict[str, object]:
    mail = report.mail
    is_delivery = mail.row.table == Delivery.__tablename__
    return {
        "delivery_id": mail.row.row_id if is_delivery else None,
        "notice_id": None if is_delivery else mail.row.row_id,
        "digest_id": mail.digest_id,
        "key_hash": mail.key_hash,
        "domain": mail.domain,
        "kind": report.kind,
        "reason": report.reason.value,
        "status": report.status and printable_line(report.status, _LONGEST_STATUS),
        # Of an erased reader nothing is kept that may name them.
        "diagnostic": redact(report.diagnostic) if report.diagnostic and mail.domain else None,
        "source": report.source,
        "mailed_at": mail.mailed_at,
        "reported_at": report.at,
        "recorded_at": now,
    }
