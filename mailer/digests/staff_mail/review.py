"""Shows staff a digest before its slot, and records their answer: stop it, or send it at once.

Never builds. The digest is still built at its slot, with what came in until then.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.digests.build import failed_builds
from mailer.digests.build.editions import Render, render_editions
from mailer.digests.build.journaling import journal_digest
from mailer.digests.build.slot_claims import cancel, insert_digest
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Rule, Slot, slot_named
from mailer.digests.selection.plan import excluded, expiring, plan_digest
from mailer.digests.selection.reader_groups import OTHER_SCHEDULE
from mailer.errors import MailerError, NotFound
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.reader_fields import ReaderField, SendTimeWord, field_word
from mailer.models import (
    Digest,
    DigestStatus,
    Newsletter,
    Notice,
    NoticeKind,
    Review,
    ReviewAct,
    Schedule,
)
from mailer.notices.alert import Alerts, queue_for_staff

if TYPE_CHECKING:
    from mailer.templating.templates import Templates

_BODY: Final = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)
_BY_STAFF: Final = "stopped by staff, from the review mail"


class ReviewState(StrEnum):
    """What became of the digest that a review is about."""

    WAITING = "waiting"
    STOPPED = "stopped"
    ASKED = "asked"
    """Staff asked for it, and it is built in a moment."""
    SENT = "sent"
    """It is on its way."""
    OVER = "over"
    """Nothing is to be decided any more: all of it has gone out, the slot was moved or skipped, or it is
    too late."""


@dataclass(frozen=True)
class ReviewView:
    """A review as its pages show it.

    Attributes:
        schedule: the titles of newsletter and schedule.
        at: when the digest goes out, in the zone of its schedule.
        digest_id: the digest that stands for the slot, if there is one.
    """

    look: Look
    act: ReviewAct
    state: ReviewState
    schedule: str
    at: datetime
    digest_id: int | None


def due_reviews(session: Session, *, now: datetime) -> list[tuple[int, Slot]]:
    """List the schedules and slots that are to be reviewed now, and have no review yet."""
    due = []
    for schedule in session.scalars(
        select(Schedule).where(
            Schedule.review.is_not(None),
            Schedule.removed_at.is_(None),
            Schedule.paused_at.is_(None),
        )
    ):
        # One without slots, such as when its zone was abolished, is reported by what builds its slots.
        with suppress(MailerError):
            slot = slot_lookup.next_free_slot(session, schedule, now=now)
            is_near = slot is not None and schedule.review and slot.due_at - schedule.review <= now
            if slot is not None and is_near and _find_review(session, schedule, slot) is None:
                due.append((schedule.id, slot))
    return due


def review_content(
    session: Session, alerts: Alerts, render: Render, schedule_id: int, slot: Slot
) -> Content | None:
    """Render the digest as most readers would get it now, below what staff need to decide about it.

    Returns:
        None if nobody would get anything.

    Raises:
        BadMessage: no mail can be made of it.
        BadTemplate: a template cannot be rendered.
    """
    schedule = session.get_one(Schedule, schedule_id)
    newsletter = session.get_one(Newsletter, schedule.newsletter_id)
    plan, editions = render_editions(plan_digest(session, schedule, slot), newsletter, render)
    if not editions:
        return None
    _, content = editions[0]
    look = Look.of(newsletter, publisher=alerts.publisher)
    left_out = excluded(session, schedule, plan)
    # Readers on another schedule miss nothing, and staff need not wonder about them.
    left_out.pop(OTHER_SCHEDULE, None)
    numbers = {
        "schedule": f"{newsletter.slug}/{schedule.name}",
        "at": slot.local.strftime("%H:%M"),
        "date": slot.local.date(),
        "zone": schedule.zone,
        "readers": plan.reader_count,
        "editions": len(plan.choice.cohorts),
        "excluded": sum(left_out.values()),
        "carried_over": len(plan.choice.carried_over),
        "expiring": expiring(schedule, plan),
    }
    return with_review_header(content, alerts.templates, look, numbers)


def with_review_header(
    content: Content, templates: "Templates", look: Look, numbers: Mapping[str, object]
) -> Content:
    """Put what staff need to decide, and the two links, above a digest.

    Raises:
        BadTemplate: a template cannot be rendered.
    """
    fields = {
        "look": look,
        "subject": content.subject,
        **numbers,
        "stop_url": SendTimeWord(field_word(content.marker, ReaderField.STOP)),
        "send_url": SendTimeWord(field_word(content.marker, ReaderField.SEND)),
    }

    def rendered(name: str) -> str:
        return templates.render(f"mail/review.{name}", look.language, fields)

    body = _BODY.search(content.html)
    start = body.end() if body else 0
    return replace(
        content,
        subject=" ".join(rendered("subject.txt").split()),
        html=content.html[:start] + rendered("html") + content.html[start:],
        text=rendered("txt") + content.text,
    )


def queue_review(
    session: Session,
    alerts: Alerts,
    content: Content,
    schedule_id: int,
    slot: Slot,
    *,
    now: datetime,
) -> bool:
    """Send this review to each staff address, unless another process did.

    Returns:
        False if there is one already, nothing to decide any more, or no staff address.
    """
    take_lock(session, AdvisoryLock.CLAIM_SLOTS)
    schedule = session.get_one(Schedule, schedule_id)
    if (
        not alerts.staff_address
        or _find_review(session, schedule, slot) is not None
        or slot_lookup.digest_at(session, schedule, slot) is not None
    ):
        return False
    notice_ids = queue_for_staff(
        session, alerts, NoticeKind.REVIEW, content, schedule.newsletter_id, now
    )
    review = Review(
        schedule_id=schedule.id,
        slot=slot.name,
        due_at=slot.due_at,
        expires_at=slot.due_at + schedule.max_lateness,
        notice_id=notice_ids[0],
        created_at=now,
    )
    session.add(review)
    session.flush()
    session.execute(
        update(Notice)
        .where(Notice.id.in_(notice_ids))
        .values(review_id=review.id)
        .execution_options(synchronize_session=False)
    )
    return True


def read_review(
    session: Session, link_id: int, *, publisher: str | None, now: datetime
) -> ReviewView:
    """Read the review that a link is about.

    Raises:
        NotFound: there is none.
    """
    review, act, schedule, slot, digest = _read_link(session, link_id)
    newsletter = session.get_one(Newsletter, schedule.newsletter_id)
    return ReviewView(
        look=Look.of(newsletter, publisher=publisher),
        act=act,
        state=_state(review, schedule, digest, now),
        schedule=f"{newsletter.title} ({schedule.name})",
        at=slot.local,
        digest_id=None if digest is None else digest.id,
    )


def answer(session: Session, link_id: int, *, now: datetime) -> None:
    """Do what the link says: stop the digest of this slot, or ask for it at once.

    Stopping a digest that is on its way cancels what has not gone out. If nothing is to be decided any more,
    nothing happens.

    Raises:
        NotFound: there is no such review.
    """
    take_lock(session, AdvisoryLock.CLAIM_SLOTS)
    review, act, schedule, slot, digest = _read_link(session, link_id)
    state = _state(review, schedule, digest, now)
    if act is ReviewAct.SEND:
        if state is ReviewState.WAITING:
            review.send_asked_at = now
    elif digest is None and state in (ReviewState.WAITING, ReviewState.ASKED):
        digest = insert_digest(
            session, schedule, slot, DigestStatus.CANCELLED, now=now, reason=_BY_STAFF
        )
        journal_digest(session, digest.id, now=now)
    elif digest is not None and cancel(session, digest.id, now=now):
        digest.reason = _BY_STAFF
    session.flush()


def asked_for(session: Session, *, now: datetime) -> list[tuple[int, Slot]]:
    """List the schedules and slots whose digests staff want at once, and that may be built now."""
    asked = []
    for review, schedule in session.execute(
        select(Review, Schedule)
        .join(Schedule, Schedule.id == Review.schedule_id)
        .where(Review.send_asked_at.is_not(None), Review.expires_at > now)
    ):
        # The zone of a schedule may have been abolished.
        with suppress(MailerError):
            slot = slot_lookup.slot_of(review, schedule)
            state = _state(review, schedule, slot_lookup.digest_at(session, schedule, slot), now)
            if state is ReviewState.ASKED and failed_builds.may_try(schedule, slot, now=now):
                asked.append((schedule.id, slot))
    return asked


def _find_review(session: Session, schedule: Schedule, slot: Slot) -> Review | None:
    """Find the review of that slot, if it was queued."""
    return session.scalar(
        select(Review).where(Review.schedule_id == schedule.id, Review.slot == slot.name)
    )


def _read_link(
    session: Session, link_id: int
) -> tuple[Review, ReviewAct, Schedule, Slot, Digest | None]:
    """Find what a link is about, and the digest that stands for its slot.

    Raises:
        NotFound: there is no such review.
    """
    review_id, act = Review.behind(link_id)
    review = session.get(Review, review_id)
    if review is None:
        raise NotFound("there is no such review")
    schedule = session.get_one(Schedule, review.schedule_id)
    slot = slot_lookup.slot_of(review, schedule)
    return review, act, schedule, slot, slot_lookup.digest_at(session, schedule, slot)


def _state(review: Review, schedule: Schedule, digest: Digest | None, now: datetime) -> ReviewState:
    """Return what became of the slot; `digest` is the one that stands for it, if there is one."""
    if digest is not None:
        match digest.status:
            case DigestStatus.CANCELLED:
                return ReviewState.STOPPED
            case DigestStatus.SENT | DigestStatus.SKIPPED:
                return ReviewState.OVER
        return ReviewState.SENT
    slot = slot_named(Rule.of(schedule), review.slot)
    is_active = schedule.paused_at is None and schedule.removed_at is None
    is_moved = slot is None or slot.due_at != review.due_at or slot.due_at <= schedule.active_from
    if is_moved or not is_active or now >= review.expires_at:
        return ReviewState.OVER
    return ReviewState.WAITING if review.send_asked_at is None else ReviewState.ASKED
