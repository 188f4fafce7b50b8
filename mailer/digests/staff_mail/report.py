"""Reports: how a digest went, told to staff once when it is sent but for what waits long. Names no reader.

Reads, and writes down that it told. When a digest is sent is decided by the ledger.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.digests import summary
from mailer.digests.summary import DigestSummary
from mailer.ledger import digest_state
from mailer.ledger.digest_state import Counts
from mailer.ledger.predicates import waits_for_later
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.reply_codes import meaning
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Newsletter,
    NoticeKind,
    Schedule,
    Subscriber,
    Subscription,
)
from mailer.notices.alert import Alerts
from mailer.notices.notice import queue_notice, render_notice
from mailer.sending.counters import UNSENDABLE

MOST_DOMAINS: Final = 10

_ENHANCED: Final = re.compile(r"(?:[45]\d\d[ -])?([45]\.\d{1,3}\.\d{1,3})\b")
_BEGINNING: Final = 16
"""As much of a reply as holds its code and its enhanced status; the rest differs from mail to mail."""


@dataclass(frozen=True)
class Report:
    """How a digest went.

    Attributes:
        failures: why mails failed, in a word of the outcomes' table, and how many; the most first.
        domains: where most failed, with how many; at most ten.
        left: readers of this digest who left the newsletter since it was built.
    """

    digest: DigestSummary
    deliveries: Counts
    failures: Sequence[tuple[str, int]]
    domains: Sequence[tuple[str, int]]
    left: int


def read_report(session: Session, digest_id: int) -> Report:
    """The report on a digest as it stands now, whether it is sent or not.

    Raises:
        NotFound: there is none of that number.
    """
    found = summary.find(session, digest_id)
    return Report(
        digest=found,
        deliveries=digest_state.counts(session, digest_id),
        failures=_failures(session, digest_id),
        domains=_domains(session, digest_id),
        left=_left(session, digest_id, found.built_at),
    )


def report_content(session: Session, alerts: Alerts, report: Report) -> Content:
    """The report as a mail, in the newsletter's look and language.

    Raises:
        BadTemplate: the template cannot be rendered.
    """
    newsletter = _newsletter(session, report.digest.id)
    look = Look.of(newsletter, publisher=alerts.publisher)
    return render_notice(
        alerts.templates, NoticeKind.REPORT, look, look.language, facts(report), alerts.random
    )


def facts(report: Report) -> dict[str, object]:
    """What the template of a report is given."""
    digest = report.digest
    return {
        "digest": {
            "id": digest.id,
            "schedule": f"{digest.newsletter}/{digest.schedule}",
            "slot": digest.slot,
            "subject": digest.subject or f"{digest.newsletter}/{digest.schedule} {digest.slot}",
            "status": digest.status.value,
            **asdict(report.deliveries),
        },
        "failures": report.failures,
        "domains": report.domains,
        "left": report.left,
        "command": f"mailer digest show {digest.id}",
    }


def unreported(session: Session) -> Sequence[int]:
    """The digests of which staff are to be told, and were not."""
    return session.scalars(
        select(Digest.id).where(_is_over(), Digest.reported_at.is_(None)).order_by(Digest.id)
    ).all()


def _is_over() -> ColumnElement[bool]:
    """True for a digest that is sent, or of which only mails are left that were turned away for now."""
    return or_(Digest.status == DigestStatus.SENT, waits_for_later())


def queue_report(
    session: Session, alerts: Alerts, digest_id: int, content: Content | None, *, now: datetime
) -> bool:
    """Send staff this report, unless somebody else did. Where there is no staff, only note it.

    Returns:
        False where it was reported before, or most of it is still to come.
    """
    mine = session.execute(
        update(Digest)
        .where(
            Digest.id == digest_id,
            _is_over(),
            Digest.reported_at.is_(None),
        )
        .values(reported_at=now)
        .returning(Digest.schedule_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if mine is None:
        return False
    if alerts.staff_address is not None and content is not None:
        queue_notice(
            session,
            kind=NoticeKind.REPORT,
            address=alerts.staff_address.typed,
            key_hash=alerts.keys.key_hash(alerts.staff_address.key),
            content=content,
            now=now,
            newsletter_id=session.get_one(Schedule, mine[0]).newsletter_id,
        )
    return True


def _failures(session: Session, digest_id: int) -> list[tuple[str, int]]:
    beginning = func.substr(Delivery.reply, 1, _BEGINNING)
    counted: Counter[str] = Counter()
    for code, reply, number in session.execute(
        select(Delivery.code, beginning, func.count())
        .where(Delivery.digest_id == digest_id, Delivery.status == DeliveryStatus.FAILED)
        .group_by(Delivery.code, beginning)
    ):
        counted[_reason(code, reply or "")] += number
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def _reason(code: int | None, reply: str) -> str:
    if code is None:
        return UNSENDABLE
    enhanced = _ENHANCED.match(reply)
    return meaning(code, enhanced[1] if enhanced else None).value


def _domains(session: Session, digest_id: int) -> list[tuple[str, int]]:
    domain = _domain(session)
    rows = session.execute(
        select(domain, func.count())
        .select_from(Delivery)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(
            Delivery.digest_id == digest_id,
            Delivery.status == DeliveryStatus.FAILED,
            Subscriber.erased_at.is_(None),
        )
        .group_by(domain)
        .order_by(func.count().desc(), domain)
        .limit(MOST_DOMAINS)
    )
    return [(name, number) for name, number in rows]


def _domain(session: Session) -> ColumnElement[str]:
    """What stands behind the @ of a reader's address key."""
    key = Subscriber.address_key
    if session.get_bind().dialect.name == "postgresql":
        return func.split_part(key, "@", 2)
    return func.substr(key, func.instr(key, "@") + 1)


def _left(session: Session, digest_id: int, since: datetime | None) -> int:
    if since is None:
        return 0
    return (
        session.scalar(
            select(func.count())
            .select_from(Delivery)
            .join(Subscription, Subscription.id == Delivery.subscription_id)
            .where(Delivery.digest_id == digest_id, Subscription.left_at >= since)
        )
        or 0
    )


def _newsletter(session: Session, digest_id: int) -> Newsletter:
    return session.scalars(
        select(Newsletter)
        .join(Schedule, Schedule.newsletter_id == Newsletter.id)
        .join(Digest, Digest.schedule_id == Schedule.id)
        .where(Digest.id == digest_id)
    ).one()
