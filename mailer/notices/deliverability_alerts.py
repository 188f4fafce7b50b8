"""Tells staff what harms the delivery of later mails, though nothing has stopped.

Never decides when that is so, and never names a reader.
"""

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.clock import format_instant
from mailer.notices.alert import Alerts, digest_of, first_newsletter, queue_alert
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)


def on_complaints(
    session: Session, alerts: Alerts, digest_id: int, reason: str, now: datetime
) -> None:
    """Tell staff that many readers report a digest as spam. The caller makes sure that they are told once.

    Args:
        reason: how many, in words for staff.
    """
    log.warning("digest %d was reported as spam by %s", digest_id, reason)
    _queue_about_digest(session, alerts, digest_id, "complaints", reason, now)


def on_bounces(
    session: Session, alerts: Alerts, digest_id: int, reason: str, now: datetime
) -> None:
    """Tell staff that much of a digest that is sent bounced. The caller makes sure that they are told once.

    Args:
        reason: how much, in words for staff.
    """
    log.warning("much of digest %d bounced: %s", digest_id, reason)
    _queue_about_digest(session, alerts, digest_id, "bounced", reason, now)


def on_mailbox_failing(
    session: Session, alerts: Alerts, reason: str, since: datetime, now: datetime
) -> None:
    """Tell staff that returned mail cannot be read. The caller makes sure that they are told once.

    Args:
        reason: why, in words for staff.
        since: when it began to fail (aware UTC).
    """
    reason = redact(reason)
    log.error("returned mail cannot be read since %s: %s", format_instant(since), reason)
    if (newsletter := first_newsletter(session)) is not None:
        facts = {
            "mailbox": {"since": format_instant(since)},
            "commands": ["mailer bounce fetch", "mailer status"],
        }
        queue_alert(session, alerts, newsletter, reason, facts, now)


def _queue_about_digest(
    session: Session, alerts: Alerts, digest_id: int, fact: str, reason: str, now: datetime
) -> None:
    newsletter, schedule, slot = digest_of(session, digest_id)
    digest = {"id": digest_id, "schedule": f"{newsletter.slug}/{schedule}", "slot": slot}
    facts = {fact: digest, "commands": {"show": f"mailer digest report {digest_id}"}}
    queue_alert(session, alerts, newsletter, reason, facts, now)
