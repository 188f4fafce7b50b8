"""Reads mails that the relay refused as what they are: bounces that came at once.

Never changes the ledger. What a refusal means for the mail was decided when it came, by
`mailer.sending.smtp.verdict`; here it is what it means for the reader.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, exists, literal_column, not_, select
from sqlalchemy.orm import Session

from mailer.bounces import effects, events
from mailer.bounces.events import RELAY, Reported
from mailer.bounces.evidence import EVIDENCE_KINDS
from mailer.bounces.mails import read_mails
from mailer.bounces.reading.diagnosis import reason_in, reason_of_numbers
from mailer.bounces.reasons import BounceKind, Reason
from mailer.ledger.transitions import Table
from mailer.message.smtp_codes import Meaning, meaning
from mailer.models import BounceEvent, Delivery, EvidenceKind, Notice
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import OnReader, verdict_on
from mailer.tokens import ReferencedRow

AT_ONCE: Final = 200
"""So many failed mails are read in one transaction."""

NOTICES_SINCE: Final = timedelta(days=7)
"""Older notices that failed are not read any more."""


_STEPS: Final = frozenset(step.value for step in Step)


class Refusal(NamedTuple):
    """What a refusal of the relay says about the reader."""

    kind: EvidenceKind
    reason: Reason
    status: str | None


def refusal(step: str | None, code: int, text: str) -> Refusal:
    """Judge the last reply to a mail that failed.

    Args:
        step: at which it came, as the ledger has it.
        text: of the reply, without its code.
    """
    reply = Reply(code, (text,))
    at = Step(step) if step in _STEPS else Step.DOT
    # Words say more than numbers, as in a bounce. But only an answer to RCPT is surely about the reader.
    reason = reason_in(text)
    if reason is None or not (
        reason.kind is BounceKind.SOFT
        or (reason.kind is BounceKind.HARD and at is Step.RCPT and code // 100 == 5)
    ):
        reason = _by_numbers(at, reply)
    return Refusal(EVIDENCE_KINDS[reason.kind], reason, reply.enhanced)


def _by_numbers(step: Step, reply: Reply) -> Reason:
    about = meaning(reply.code, reply.enhanced)
    on_reader = verdict_on(step, reply).reader
    reason = reason_of_numbers(reply.code, reply.enhanced)
    is_hard = reason is not None and reason.kind is BounceKind.HARD
    if on_reader is OnReader.HARD_BOUNCE:
        if reply.enhanced is None and reply.code == 551:
            return Reason.MOVED
        # A host that refuses a mailbox as switched off (5.2.1) at RCPT takes no mail for it any more.
        return reason if reason is not None and is_hard else Reason.NOT_ACCEPTING
    if reply.code // 100 == 4:
        # It was given up after days. A mailbox that is unknown for now has been so for all that time.
        return Reason.EXPIRED if reason is None or is_hard or about is Meaning.CLOSING else reason
    if about is Meaning.MAILBOX_FULL and on_reader is not OnReader.SOFT_BOUNCE:
        # A bare 552 after the mail's text is more often about its size.
        return Reason.SIZE
    if reason is not None and (step is Step.RCPT or not is_hard):
        return reason
    return Reason.OTHER if step is Step.RCPT else Reason.POLICY


def read_failed_deliveries(session: Session, digest_id: int, *, now: datetime) -> int:
    """Record what the failed mails of a digest say about their readers, and do what follows.

    Returns:
        How many were read; as many as `AT_ONCE` if there may be more.
    """
    return _read(session, Delivery, Delivery.digest_id == digest_id, now)


def read_failed_notices(session: Session, *, now: datetime) -> int:
    """Do the same for notices."""
    return _read(session, Notice, Notice.outcome_at > now - NOTICES_SINCE, now)


def _read(session: Session, table: Table, which: ColumnElement[bool], now: datetime) -> int:
    event = BounceEvent.delivery_id if table is Delivery else BounceEvent.notice_id
    is_recorded = exists().where(
        event == table.id, BounceEvent.kind.in_((EvidenceKind.HARD, EvidenceKind.SOFT))
    )
    rows = session.execute(
        select(table.id, table.step, table.code, table.reply, table.outcome_at)
        .where(
            # Written out, as in the partial index of the failed.
            table.status == literal_column("'failed'"),
            # Otherwise no host has refused it.
            table.code.is_not(None),
            which,
            not_(is_recorded),
        )
        .order_by(table.id)
        .limit(AT_ONCE)
    ).all()
    name = table.__tablename__
    mails = {
        mail.row.row_id: mail
        for mail in read_mails(session, [ReferencedRow(name, row.id) for row in rows])
    }
    reports: Sequence[Reported] = [
        Reported(
            mail=mails[row.id],
            diagnostic=f"{row.code} {row.reply or ''}".strip(),
            source=RELAY,
            at=row.outcome_at or now,
            **refusal(row.step, row.code, row.reply or "")._asdict(),
        )
        for row in rows
    ]
    effects.follow(session, reports, events.write(session, reports, now=now), now=now)
    return len(rows)
