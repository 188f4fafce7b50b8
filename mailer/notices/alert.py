"""Alerts staff, by mail and in the log, when sending, a feed or a build stops by itself.

Pauses, and tells staff exactly once, in the caller's transaction. Never commits, decides when to stop, or
names a reader.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.clock import format_instant
from mailer.errors import MailerError
from mailer.ledger import digest_state
from mailer.ledger.digest_state import Pause
from mailer.ledger.pause import pause_sending
from mailer.ledger.transitions import WAITING, RowId, is_in
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.models import Digest, DigestStatus, Newsletter, Notice, NoticeKind, Schedule
from mailer.notices.notice import queue_notice, render_notice
from mailer.text.untrusted import redact
from mailer.tokens import Keys

if TYPE_CHECKING:
    from mailer.templating.templates import Templates

log = logging.getLogger(__name__)

_FOR_STAFF: Final = (NoticeKind.ALERT, NoticeKind.REVIEW, NoticeKind.REPORT)
_REPEAT_AFTER: Final = timedelta(days=1)
"""How soon staff are told again that the relay refuses a newsletter's address."""


class TurnedAway(NamedTuple):
    """A notice whose sender the relay refuses, and why, if staff are to be told."""

    row: RowId
    reason: str | None


@dataclass(frozen=True)
class Alerts:
    """Everything that is needed to write to staff.

    Args:
        staff_address: who gets alerts; if it is empty, only the log and `mailer status` say it.
        publisher: who is named in the mail; None: the newsletter's title.
        random: gives that many random bytes.
    """

    templates: "Templates"
    keys: Keys
    staff_address: tuple[Address, ...]
    publisher: str | None
    random: Callable[[int], bytes]


def on_pause(session: Session, alerts: Alerts, pause: Pause, now: datetime) -> None:
    """Pause a digest or all sending, and tell staff, once.

    If all senders in use are refused, but a newsletter has an address that has not been tried, the relay may
    still take that one: only the digest is paused.
    """
    digest_id, reason, refused = pause
    stops_all = digest_id is None if refused is None else first_newsletter(session, refused) is None
    if stops_all:
        on_sending_paused(session, alerts, reason, now)
    elif digest_id is not None:
        on_digest_paused(session, alerts, digest_id, reason, now)


def on_digest_paused(
    session: Session, alerts: Alerts, digest_id: int, reason: str, now: datetime
) -> bool:
    """Pause a digest that is being sent, and tell staff. The results that led to it are recorded before.

    Args:
        reason: why, in words for staff; addresses are taken out of it.

    Returns:
        False if it is not being sent, as when another worker was first: then staff are not told again.
    """
    reason = redact(reason)
    if not digest_state.pause_digest(session, digest_id, reason):
        return False
    log.error("digest %d is paused: %s; see `mailer digest show %d`", digest_id, reason, digest_id)
    newsletter, schedule, slot = digest_of(session, digest_id)
    counts = digest_state.counts(session, digest_id)
    facts = {
        "digest": {
            "id": digest_id,
            "schedule": f"{newsletter.slug}/{schedule}",
            "slot": slot,
            "sent": counts.sent,
            "pending": counts.pending,
            "failed": counts.failed,
            "in_doubt": counts.unknown,
        },
        "commands": {
            verb: f"mailer digest {verb} {digest_id}" for verb in ("show", "resume", "cancel")
        },
    }
    queue_alert(session, alerts, newsletter, reason, facts, now)
    return True


def on_sending_paused(session: Session, alerts: Alerts, reason: str, now: datetime) -> bool:
    """Pause all sending, and tell staff. The alert waits like all other mail until sending is resumed.

    Args:
        reason: why, with the relay's words; addresses are taken out of it.

    Returns:
        False if it was paused already: then staff are not told again.
    """
    reason = redact(reason)
    if not pause_sending(session, reason, now):
        return False
    log.error("all sending is paused: %s; `mailer resume` starts it again", reason)
    if (newsletter := first_newsletter(session)) is not None:
        commands = {"show": "mailer status", "resume": "mailer resume"}
        queue_alert(session, alerts, newsletter, reason, {"commands": commands}, now)
    return True


def on_sender_refused(
    session: Session,
    alerts: Alerts,
    turned_away: Collection[TurnedAway],
    refused: Collection[str],
    now: datetime,
) -> None:
    """Tell staff about senders that the relay refuses, from another sender's address.

    Mails to staff go out at once, from the first newsletter whose address is not refused. About the other
    mails staff are told once a day for each newsletter, unless one of its digests was paused and told them.

    Args:
        turned_away: notices that were refused because of their sender; their results are recorded.
        refused: From addresses, in lower case, whose last mail the relay refused.
    """
    other = first_newsletter(session, refused)
    if other is None:
        return
    reasons = {notice.row.id: notice.reason for notice in turned_away}
    session.execute(
        update(Notice)
        .where(
            Notice.id.in_(reasons),
            Notice.kind.in_(_FOR_STAFF),
            is_in(Notice, WAITING),
            Notice.from_address != other.from_address,
            # The relay may have a mail that was in doubt, and this would be another one.
            Notice.in_doubt == 0,
        )
        .values(from_name=other.from_name, from_address=other.from_address, next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )
    rows = session.execute(
        select(Notice.newsletter_id, func.min(Notice.id))
        .where(
            Notice.id.in_([row_id for row_id, reason in reasons.items() if reason is not None]),
            Notice.kind.not_in(_FOR_STAFF),
        )
        .group_by(Notice.newsletter_id)
    ).all()
    for newsletter_id, notice_id in rows:
        if newsletter_id is not None:
            _on_newsletter_refused(session, alerts, newsletter_id, reasons[notice_id] or "", now)


def _on_newsletter_refused(
    session: Session, alerts: Alerts, newsletter_id: int, reason: str, now: datetime
) -> None:
    # A second worker waits here, and then finds the first one's alert.
    newsletter = session.get_one(Newsletter, newsletter_id, with_for_update=True)
    is_paused = (
        select(Digest.id)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .where(Schedule.newsletter_id == newsletter.id, Digest.status == DigestStatus.PAUSED)
    )
    if session.scalar(is_paused.limit(1)) is not None:
        return
    commands = [f"mailer newsletter show {newsletter.slug}", "mailer status"]
    facts = {"sender": {"title": newsletter.title}, "commands": commands}
    queue_alert(session, alerts, newsletter, reason, facts, now, unless_since=now - _REPEAT_AFTER)


def digest_of(session: Session, digest_id: int) -> tuple[Newsletter, str, str]:
    """Return a digest's newsletter, its schedule's name and its slot."""
    newsletter, schedule, slot = session.execute(
        select(Newsletter, Schedule.name, Digest.slot)
        .select_from(Digest)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(Digest.id == digest_id)
    ).one()
    return newsletter, schedule, slot


def first_newsletter(session: Session, refused: Collection[str] = ()) -> Newsletter | None:
    """Return the first newsletter whose address is not `refused`."""
    is_not_refused = func.lower(Newsletter.from_address).not_in(refused)
    return session.scalars(
        select(Newsletter).where(is_not_refused).order_by(Newsletter.id).limit(1)
    ).first()


def on_feed(
    session: Session,
    alerts: Alerts,
    newsletter: Newsletter,
    *,
    title: str,
    url: str,
    reason: str,
    commands: Sequence[str],
    now: datetime,
) -> None:
    """Tell staff that a feed needs their attention. The caller makes sure that they are told once.

    Args:
        newsletter: one that takes its articles; the mail has its look and language.
        reason: what is wrong, in words for staff.
        commands: what staff may type to settle it.
    """
    reason = redact(reason)
    log.error("the feed %s needs your attention: %s; `%s`", url, reason, commands[0])
    facts = {"feed": {"title": title or url, "url": url}, "commands": commands}
    queue_alert(session, alerts, newsletter, reason, facts, now)


def on_signups_held(
    session: Session, alerts: Alerts, newsletter_id: int, reason: str, now: datetime
) -> None:
    """Tell staff that mails to people who sign up wait. The caller makes sure that they are told once.

    Args:
        newsletter_id: the one that was asked for; the mail has its look and language.
        reason: which limit holds them, in words for staff.
    """
    log.warning("mails of sign-ups are held: %s", reason)
    newsletter = session.get_one(Newsletter, newsletter_id)
    facts = {"signups": True, "commands": {"show": "mailer status"}}
    queue_alert(session, alerts, newsletter, reason, facts, now)


def on_slot_missed(
    session: Session,
    alerts: Alerts,
    newsletter: Newsletter,
    *,
    schedule: str,
    slot: str,
    reason: str | None,
    now: datetime,
) -> None:
    """Tell staff that a digest could not be built. The caller makes sure that they are told once.

    Args:
        schedule: as staff type it, `SLUG/NAME`.
        slot: its name.
        reason: why, in words for staff; None: nothing is sent for the slot, because it is too late now.
    """
    commands = ["mailer status", f"mailer digest plan {schedule}"]
    if reason is not None:
        reason = redact(reason)
        commands = [f"mailer digest preview {schedule} --slot {slot}"]
        log.error("the digest of %s for %s could not be built: %s", schedule, slot, reason)
    missing = {"schedule": schedule, "slot": slot, "late": reason is None}
    facts = {"missing": missing, "commands": commands}
    queue_alert(session, alerts, newsletter, reason or "", facts, now)


def queue_for_staff(
    session: Session,
    alerts: Alerts,
    kind: NoticeKind,
    content: Content,
    newsletter_id: int,
    now: datetime,
) -> list[int]:
    """Queue a notice to each staff address, and return their ids, in the order of the addresses."""
    ids = [
        queue_notice(
            session,
            kind=kind,
            address=address.typed,
            key_hash=alerts.keys.key_hash(address.key),
            content=content,
            now=now,
            newsletter_id=newsletter_id,
        )
        for address in alerts.staff_address
    ]
    return [notice_id for notice_id in ids if notice_id is not None]


def queue_alert(
    session: Session,
    alerts: Alerts,
    newsletter: Newsletter,
    reason: str,
    facts: Mapping[str, object],
    now: datetime,
    *,
    unless_since: datetime | None = None,
) -> None:
    """Queue an alert to each staff address, if there is one.

    Args:
        newsletter: the mail has its look and language.
        facts: what it is about, as docs/templates.md lists it, and the commands that help.
        unless_since: if it is given, only if none with the same subject was queued since then.
    """
    if not alerts.staff_address:
        return
    context = {"digest": None, **facts, "reason": reason, "at": format_instant(now)}
    try:
        look = Look.of(newsletter, publisher=alerts.publisher)
        content = render_notice(
            alerts.templates, NoticeKind.ALERT, look, look.language, context, alerts.random
        )
    except MailerError as error:
        # The results of mails are recorded in this transaction: no template may get in their way.
        log.error("the alert cannot be rendered: %s", error)
        return
    if unless_since is not None:
        earlier = select(Notice.id).where(
            Notice.kind == NoticeKind.ALERT,
            Notice.newsletter_id == newsletter.id,
            Notice.subject == content.subject,
            Notice.created_at > unless_since,
        )
        if session.scalar(earlier.limit(1)) is not None:
            return
    queue_for_staff(session, alerts, NoticeKind.ALERT, content, newsletter.id, now)
