"""Reads what Amazon SES reports by mail: JSON, sent to an address that subscribes a topic of SNS.

Never checks Amazon's signature: like any other mail, it counts only by a reference that is ours.
"""

from dataclasses import dataclass
from typing import Final

from mailer.bounces.providers.payload import BadPayload, items_at, read_json, text_at
from mailer.bounces.providers.ses import BOUNCES
from mailer.bounces.reading.diagnosis import find_numbers, judge_report
from mailer.bounces.reading.forms.feedback import feedback_reason
from mailer.bounces.reading.mime import ReadMail
from mailer.bounces.reasons import Reason

_LONGEST: Final = 300_000
"""SNS sends at most 256 KiB."""
_FOLD: Final = "!\n "
"""How some hosts break lines that are too long."""
_MOST_RECIPIENTS: Final = 50
_ACTIONS: Final = {
    "delayed": Reason.DELAYED,
    **dict.fromkeys(("delivered", "relayed", "expanded"), Reason.RECEIPT),
}


@dataclass(frozen=True)
class NotifiedRecipient:
    """What is said about one address."""

    address: str
    action: str | None
    status: str | None
    diagnostic: str
    reason: Reason


@dataclass(frozen=True)
class Notification:
    """What a notification says, and the header of the mail that it is about."""

    recipients: tuple[NotifiedRecipient, ...]
    header: str


def find_notification(mail: ReadMail) -> Notification | None:
    """Return the notification that a mail is, or None."""
    part = next((part for part in mail.parts if part.content_type == "text/plain"), None)
    if part is None or part.is_returned:
        return None
    text = part.text().strip()
    if not text.startswith("{") or len(text) > _LONGEST:
        return None
    try:
        event = read_json(text.replace(_FOLD, ""))
        message = text_at(event, "Message")
        event = event if message is None else read_json(message)
    except BadPayload:
        return None
    recipients = _recipients(event)
    return Notification(tuple(recipients), _header(event)) if recipients else None


def _recipients(event: object) -> list[NotifiedRecipient]:
    name = text_at(event, "notificationType") or text_at(event, "eventType")
    found: list[NotifiedRecipient] = []
    if name == "Bounce":
        for item in items_at(event, "bounce", "bouncedRecipients")[:_MOST_RECIPIENTS]:
            status = find_numbers(text_at(item, "status") or "")[1]
            said = text_at(item, "diagnosticCode") or ""
            action = (text_at(item, "action") or "failed").lower()
            reason = _ACTIONS.get(action) or _bounce_reason(event, status, said)
            address = text_at(item, "emailAddress") or ""
            found.append(NotifiedRecipient(address, action, status, said, reason))
    elif name == "Complaint":
        reason = feedback_reason(text_at(event, "complaint", "complaintFeedbackType") or "abuse")
        for item in items_at(event, "complaint", "complainedRecipients")[:_MOST_RECIPIENTS]:
            address = text_at(item, "emailAddress") or ""
            found.append(NotifiedRecipient(address, None, None, "", reason))
    elif name == "Delivery":
        said = text_at(event, "delivery", "smtpResponse") or ""
        for one in items_at(event, "delivery", "recipients")[:_MOST_RECIPIENTS]:
            if isinstance(one, str):
                found.append(NotifiedRecipient(one, "delivered", None, said, Reason.RECEIPT))
    return found


def _bounce_reason(event: object, status: str | None, said: str) -> Reason:
    kind = text_at(event, "bounce", "bounceType") or ""
    subtype = text_at(event, "bounce", "bounceSubType") or ""
    if (kind, subtype) == ("Transient", "General") and not said:
        # SES reports automatic replies in this way, too.
        return Reason.AUTOMATIC
    told = judge_report(status, said, "")
    return BOUNCES.get((kind, subtype), Reason.OTHER) if told is Reason.OTHER else told


def _header(event: object) -> str:
    fields = [
        (text_at(one, "name") or "", text_at(one, "value") or "")
        for one in items_at(event, "mail", "headers")
    ]
    return "\n".join(f"{name}: {' '.join(value.split())}" for name, value in fields)
