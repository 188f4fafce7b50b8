"""Reports to staff how a digest went, once, when all is sent but what the relay deferred.

Never names a reader, and never decides when a digest is sent: the ledger does.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.bounces.digest_counts import address_domain, counts_of, domain_counts, reason_counts
from mailer.bounces.rates import DomainCounts, ReturnCounts
from mailer.clock import Clock
from mailer.db import Database
from mailer.digests import listings
from mailer.digests.listings import DigestSummary
from mailer.ledger import digest_state
from mailer.ledger.digest_state import Counts
from mailer.ledger.history.kept_counts import FAILURE, LEFT, kept_counts, with_prefix
from mailer.ledger.predicates import waits_for_later
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.smtp_codes import meaning
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
from mailer.notices.alert import Alerts, queue_for_staff
from mailer.notices.notice import render_notice
from mailer.sending.counters import UNSENDABLE

MOST_DOMAINS: Final = 10
_ENHANCED: Final = re.compile(r"(?:[45]\d\d[ -])?([45]\.\d{1,3}\.\d{1,3})\b")
_STATUS_LENGTH: Final = 16
"""As much of a reply as holds its code and its enhanced status; the rest differs from mail to mail."""


@dataclass(frozen=True)
class Report:
    """How a digest went.

    Attributes:
        failures: why mails failed, and how many; the most frequent reason first.
        domains: the domains of most failed mails, and how many; at most ten.
        left: how many readers of this digest have left the newsletter since it was built.
        returned: what came back of it.
        returned_reasons: why, as words of docs/bounces.md, and how many; the most frequent first.
        returned_domains: where most came back from; at most ten.

    Of a purged digest no domains are kept.
    """

    digest: DigestSummary
    deliveries: Counts
    failures: Sequence[tuple[str, int]]
    domains: Sequence[tuple[str, int]]
    left: int
    returned: ReturnCounts
    returned_reasons: Sequence[tuple[str, int]]
    returned_domains: Sequence[DomainCounts]


def read_report(session: Session, digest_id: int) -> Report:
    """Read the report on a digest as it stands now, whether it is sent or not.

    Raises:
        NotFound: there is no digest with that number.
    """
    digest = listings.find(session, digest_id)
    kept = kept_counts(session, digest_id)
    failures = failures_of(session, digest_id) if kept is None else with_prefix(kept, FAILURE)
    return Report(
        digest=digest,
        deliveries=digest_state.counts(session, digest_id),
        failures=sorted(failures.items(), key=lambda pair: (-pair[1], pair[0])),
        domains=_domains(session, digest_id),
        left=kept.get(LEFT, 0) if kept else left_since(session, digest_id, digest.built_at),
        returned=counts_of(session, digest_id),
        returned_reasons=reason_counts(session, digest_id),
        returned_domains=domain_counts(session, digest_id, most=MOST_DOMAINS),
    )


def report_content(session: Session, alerts: Alerts, report: Report) -> Content:
    """Render the report as a mail, in the newsletter's look and language.

    Raises:
        BadTemplate: the template cannot be rendered.
    """
    newsletter = session.scalars(
        select(Newsletter).where(Newsletter.slug == report.digest.newsletter)
    ).one()
    look = Look.of(newsletter, publisher=alerts.publisher)
    return render_notice(
        alerts.templates, NoticeKind.REPORT, look, look.language, fields(report), alerts.random
    )


def fields(report: Report) -> dict[str, object]:
    """Return the fields of a report's template."""
    digest = report.digest
    schedule = f"{digest.newsletter}/{digest.schedule}"
    return {
        "digest": {
            "id": digest.id,
            "schedule": schedule,
            "slot": digest.slot,
            "subject": digest.subject or f"{schedule} {digest.slot}",
            "status": digest.status.value,
            **asdict(report.deliveries),
        },
        "failures": report.failures,
        "domains": report.domains,
        "left": report.left,
        "returned": {
            **asdict(report.returned),
            "hard_rate": report.returned.hard_rate,
            "complaint_rate": report.returned.complaint_rate,
        },
        "returned_reasons": report.returned_reasons,
        "returned_domains": [asdict(row) for row in report.returned_domains],
        "command": f"mailer digest show {digest.id}",
    }


def unreported(session: Session) -> Sequence[int]:
    """List the digests that are to be reported to staff, and were not."""
    return session.scalars(select(Digest.id).where(_is_reportable()).order_by(Digest.id)).all()


def report_once(database: Database, alerts: Alerts, digest_id: int, wall: Clock) -> bool:
    """Report to staff how this digest went, in transactions of its own; False as in `queue_report`.

    Raises:
        BadTemplate: the template cannot be rendered.
        NotFound: there is no such digest.
    """
    content = None
    if alerts.staff_address:
        with database.read() as session:
            content = report_content(session, alerts, read_report(session, digest_id))
    with database.write() as session:
        return queue_report(session, alerts, digest_id, content, now=wall())


def queue_report(
    session: Session, alerts: Alerts, digest_id: int, content: Content | None, *, now: datetime
) -> bool:
    """Send staff this report, unless another process did. Without a staff address, only note it.

    Returns:
        False if it was reported before, or most of the digest is still to be sent.
    """
    schedule_id = session.scalar(
        update(Digest)
        .where(Digest.id == digest_id, _is_reportable())
        .values(reported_at=now)
        .returning(Digest.schedule_id)
        .execution_options(synchronize_session=False)
    )
    if schedule_id is None:
        return False
    if content is not None:
        newsletter_id = session.get_one(Schedule, schedule_id).newsletter_id
        queue_for_staff(session, alerts, NoticeKind.REPORT, content, newsletter_id, now)
    return True


def _is_reportable() -> ColumnElement[bool]:
    """True for a digest without a report that is sent, or of which only deferred mails are left."""
    is_over = or_(Digest.status == DigestStatus.SENT, waits_for_later())
    return and_(is_over, Digest.reported_at.is_(None))


def failures_of(session: Session, digest_id: int) -> dict[str, int]:
    """Count why mails of a digest failed."""
    status = func.substr(Delivery.reply, 1, _STATUS_LENGTH)
    numbers: Counter[str] = Counter()
    for code, reply, number in session.execute(
        select(Delivery.code, status, func.count())
        .where(Delivery.digest_id == digest_id, Delivery.status == DeliveryStatus.FAILED)
        .group_by(Delivery.code, status)
    ):
        numbers[_reason(code, reply or "")] += number
    return dict(numbers)


def _reason(code: int | None, reply: str) -> str:
    if code is None:
        return UNSENDABLE
    enhanced = _ENHANCED.match(reply)
    return meaning(code, enhanced[1] if enhanced else None).value


def _domains(session: Session, digest_id: int) -> list[tuple[str, int]]:
    domain = address_domain(session)
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


def left_since(session: Session, digest_id: int, since: datetime | None) -> int:
    """Count the readers of a digest who have left the newsletter since then."""
    if since is None:
        return 0
    return session.scalars(
        select(func.count())
        .select_from(Delivery)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .where(Delivery.digest_id == digest_id, Subscription.left_at >= since)
    ).one()
