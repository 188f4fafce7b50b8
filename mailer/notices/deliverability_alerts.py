"""Tells staff what harms the delivery of later mails, though nothing has stopped.

Never decides when that is so, and never names a reader.
"""

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.notices.alert import Alerts, digest_of, queue_alert

log = logging.getLogger(__name__)


def on_complaints(
    session: Session, alerts: Alerts, digest_id: int, reason: str, now: datetime
) -> None:
    """Tell staff that many readers report a digest as spam. The caller makes sure that they are told once.

    Args:
        reason: how many, in words for staff.
    """
    log.warning("digest %d was reported as spam by %s", digest_id, reason)
    newsletter, schedule, slot = digest_of(session, digest_id)
    complaints = {"id": digest_id, "schedule": f"{newsletter.slug}/{schedule}", "slot": slot}
    facts = {"complaints": complaints, "commands": {"show": f"mailer digest report {digest_id}"}}
    queue_alert(session, alerts, newsletter, reason, facts, now)
