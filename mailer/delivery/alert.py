"""Alerts: what is told to staff, by mail and in the log, when sending or a feed stops by itself.

Pauses, and tells it exactly once, in the transaction of whoever found out. Nothing here commits, decides
when to stop, or names a reader.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.clock import format_instant
from mailer.delivery import running
from mailer.delivery.notice import queue_notice, render_notice
from mailer.delivery.outcome import kept
from mailer.errors import MailerError
from mailer.message.look import Look
from mailer.models import Digest, Newsletter, NoticeKind, Schedule
from mailer.tokens import Keys

if TYPE_CHECKING:
    from mailer.templating import Templates

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alerts:
    """What it takes to write to staff.

    Args:
        staff_address: who gets alerts; None: only the log and `mailer status` tell.
        publisher: who is named in the mail; None is the newsletter's title.
        random: gives that many random bytes.
    """

    templates: "Templates"
    keys: Keys
    staff_address: Address | None
    publisher: str | None
    random: Callable[[int], bytes]


def on_digest_paused(
    session: Session, alerts: Alerts, digest_id: int, reason: str, now: datetime
) -> bool:
    """Pause a digest that is being sent, and tell staff; after the outcomes that led to it are recorded.

    Args:
        reason: why, in words for staff; addresses are taken out of it.

    Returns:
        False where it is not being sent, as when another worker was first: then nothing is told.
    """
    reason = kept(reason)
    if not running.pause_digest(session, digest_id, reason):
        return False
    log.error("digest %d is paused: %s; see `mailer digest show %d`", digest_id, reason, digest_id)
    found = session.execute(
        select(Newsletter, Schedule.name, Digest.slot)
        .select_from(Digest)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(Digest.id == digest_id)
    ).one()
    newsletter, schedule, slot = found
    counts = running.counts(session, digest_id)
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
            "show": f"mailer digest show {digest_id}",
            "resume": f"mailer digest resume {digest_id}",
            "cancel": f"mailer digest cancel {digest_id}",
        },
    }
    _queue(session, alerts, newsletter, reason, facts, now)
    return True


def on_sending_paused(session: Session, alerts: Alerts, reason: str, now: datetime) -> bool:
    """Pause all sending, and tell staff.

    Notices wait like all other mail, so the alert comes when sending goes on; the log and
    `mailer status` tell at once.

    Args:
        reason: why, with the relay's words; addresses are taken out of it.

    Returns:
        False where it was paused already: then nothing is told.
    """
    reason = kept(reason)
    if not running.pause_sending(session, reason, now):
        return False
    log.error("all sending is paused: %s; `mailer resume` starts it again", reason)
    newsletter = session.scalars(select(Newsletter).order_by(Newsletter.id).limit(1)).one_or_none()
    if newsletter is not None:
        commands = {"show": "mailer status", "resume": "mailer resume"}
        _queue(session, alerts, newsletter, reason, {"digest": None, "commands": commands}, now)
    return True


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
    """Tell staff that a feed needs somebody. Whoever calls this sees to it that it is told once.

    Args:
        newsletter: one that takes its articles; the mail has its look and language.
        reason: what is the matter, in words for staff.
        commands: what staff may type to settle it.
    """
    reason = kept(reason)
    log.error("the feed %s needs you: %s; `%s`", url, reason, commands[0])
    facts = {"digest": None, "feed": {"title": title or url, "url": url}, "commands": commands}
    _queue(session, alerts, newsletter, reason, facts, now)


def on_signups_held(
    session: Session, alerts: Alerts, newsletter_id: int, reason: str, now: datetime
) -> None:
    """Tell staff that mails of sign-ups wait. Whoever calls this sees to it that it is told once.

    Args:
        newsletter_id: the one that was asked for; the mail has its look and language.
        reason: which limit holds them, in words for staff.
    """
    log.warning("mails of sign-ups are held: %s", reason)
    newsletter = session.get_one(Newsletter, newsletter_id)
    facts = {"digest": None, "signups": True, "commands": {"show": "mailer status"}}
    _queue(session, alerts, newsletter, reason, facts, now)


def on_build_failed(
    session: Session,
    alerts: Alerts,
    newsletter: Newsletter,
    *,
    schedule: str,
    slot: str,
    reason: str,
    now: datetime,
) -> None:
    """Tell staff that a digest could not be built. Whoever calls this sees to it that it is told once.

    Args:
        schedule: as staff type it, `SLUG/NAME`.
        slot: its name.
        reason: why, in words for staff.
    """
    reason = kept(reason)
    commands = [f"mailer digest preview {schedule} --slot {slot}"]
    log.error("the digest of %s for %s could not be built: %s", schedule, slot, reason)
    missing = {"schedule": schedule, "slot": slot, "late": False}
    facts = {"digest": None, "missing": missing, "commands": commands}
    _queue(session, alerts, newsletter, reason, facts, now)


def on_slot_late(
    session: Session,
    alerts: Alerts,
    newsletter: Newsletter,
    *,
    schedule: str,
    slot: str,
    now: datetime,
) -> None:
    """Tell staff that nothing is sent for a slot, because it became too late for it.

    Args:
        schedule, slot: as in `on_build_failed`.
    """
    commands = ["mailer status", f"mailer digest plan {schedule}"]
    missing = {"schedule": schedule, "slot": slot, "late": True}
    facts = {"digest": None, "missing": missing, "commands": commands}
    _queue(session, alerts, newsletter, "", facts, now)


def _queue(
    session: Session,
    alerts: Alerts,
    newsletter: Newsletter,
    reason: str,
    facts: Mapping[str, object],
    now: datetime,
) -> None:
    if alerts.staff_address is None:
        return
    context = {**facts, "reason": reason, "at": format_instant(now)}
    try:
        look = Look.of(newsletter, publisher=alerts.publisher)
        content = render_notice(
            alerts.templates, NoticeKind.ALERT, look, look.language, context, alerts.random
        )
    except MailerError as error:
        # The outcomes of mails are recorded in this transaction: no template may stand in their way.
        log.error("no alert can be written: %s", error)
        return
    queue_notice(
        session,
        kind=NoticeKind.ALERT,
        address=alerts.staff_address.typed,
        key_hash=alerts.keys.key_hash(alerts.staff_address.key),
        content=content,
        now=now,
        newsletter_id=newsletter.id,
    )
