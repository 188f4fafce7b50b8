"""Reads one mail to the bounce address: the way in to this package.

Never fails, whatever the bytes are, and never takes longer than in proportion to their first megabyte.
"""

from typing import Final

from mailer.bounces.reading.addresses import first_address
from mailer.bounces.reading.automatic import automatic_reason
from mailer.bounces.reading.bounce_text import (
    BounceText,
    is_by_daemon,
    is_delay,
    is_failure,
    read_text,
)
from mailer.bounces.reading.diagnosis import find_numbers, judge_report
from mailer.bounces.reading.fields import HeaderFields
from mailer.bounces.reading.forms.delivery_status import ReportGroup, StatusReport, find_report
from mailer.bounces.reading.forms.feedback import find_feedback
from mailer.bounces.reading.forms.notification import Notification, find_notification
from mailer.bounces.reading.mime import ReadMail, read_mail
from mailer.bounces.reading.recipients import failed_addresses, reason_for
from mailer.bounces.reading.references import find_references
from mailer.bounces.reading.returned import ReportedRecipient, ReturnedMail
from mailer.bounces.reasons import BounceKind, Reason
from mailer.text.untrusted import printable_line

_LONGEST_DIAGNOSTIC: Final = 500
_LONGEST_ADDRESS: Final = 320
_GRAVITY: Final = (
    BounceKind.COMPLAINT, BounceKind.HARD, BounceKind.SOFT, BounceKind.AUTOREPLY, BounceKind.NONE,
)  # fmt: skip


def read_returned(raw: bytes) -> ReturnedMail:
    """Read a mail to the bounce address: what it reports, about whom, and which mail it may be about."""
    mail = read_mail(raw)
    body = read_text(mail)
    feedback = find_feedback(mail)
    if feedback is not None:
        addresses = feedback.addresses or (None,)
        recipients = [_recipient(one, None, None, None, feedback.reason) for one in addresses]
        return _returned(mail, feedback.fields, body, feedback.reason, recipients)
    report = find_report(mail)
    if report is not None:
        recipients = _reported(report, mail, body)
        return _returned(mail, report.about_mail, body, _gravest(recipients), recipients)
    notification = find_notification(mail)
    if notification is not None:
        recipients = _notified(notification)
        body = BounceText(body.shown, notification.header)
        return _returned(mail, HeaderFields(), body, _gravest(recipients), recipients)
    return _without_report(mail, body)


def _without_report(mail: ReadMail, body: BounceText) -> ReturnedMail:
    nothing = HeaderFields()
    by_daemon = is_by_daemon(mail.fields)
    automatic = automatic_reason(mail, body.shown, is_by_daemon=by_daemon)
    if _is_receipt(mail, body):
        recipients = [_recipient(_sender(mail), None, None, None, Reason.RECEIPT)]
        return _returned(mail, nothing, body, Reason.RECEIPT, recipients)
    fails = is_failure(mail, body) and automatic in (None, Reason.AUTOMATIC)
    if fails or (by_daemon and is_delay(mail, body)):
        delayed = is_delay(mail, body)
        action = "delayed" if delayed else "failed"
        recipients = [
            _recipient(
                failed.address,
                action,
                find_numbers(failed.text)[1],
                failed.text,
                Reason.DELAYED if delayed else reason_for(failed, body),
            )
            for failed in failed_addresses(mail, body)
        ]
        if not recipients:
            why = Reason.DELAYED if delayed else judge_report(None, "", body.shown)
            recipients = [_recipient(None, action, None, body.shown, why)]
        return _returned(mail, nothing, body, _gravest(recipients), recipients)
    if automatic is not None:
        recipients = [_recipient(_sender(mail), None, None, None, automatic)]
        return _returned(mail, nothing, body, automatic, recipients)
    return _returned(mail, nothing, body, Reason.ORDINARY, [])


def _is_receipt(mail: ReadMail, body: BounceText) -> bool:
    """Tell whether it is a notification that a mail was read (RFC 8098), and not a bounce in its form."""
    kinds = {part.content_type for part in mail.parts if not part.is_returned}
    is_one = "message/disposition-notification" in kinds
    return is_one and "rejected" not in body.shown.lower()


def _sender(mail: ReadMail) -> str | None:
    return first_address(mail.fields.text("from")) or first_address(mail.fields.text("reply-to"))


def _reported(report: StatusReport, mail: ReadMail, body: BounceText) -> list[ReportedRecipient]:
    recipients: list[ReportedRecipient] = []
    in_text = failed_addresses(mail, body) if len(report.groups) == 1 else []
    for group in report.groups:
        address = group.address
        if (address is None or "@" not in address) and in_text:
            address = in_text[0].address
        context = _context(address, body, alone=len(report.groups) == 1)
        reason = _reason_of(group, context, mail, body)
        said = group.diagnostic or None
        recipients.append(_recipient(address, group.action, group.status, said, reason))
    return recipients


def _notified(notification: Notification) -> list[ReportedRecipient]:
    return [
        _recipient(one.address, one.action, one.status, one.diagnostic, one.reason)
        for one in notification.recipients
    ]


def _context(address: str | None, body: BounceText, *, alone: bool) -> str:
    """Return what the text for people says about one address."""
    at = body.shown.lower().find(address.lower()) if address and not alone else -1
    return body.shown if at < 0 else body.shown[at : at + _LONGEST_CONTEXT]


_LONGEST_CONTEXT: Final = 1_000


def _reason_of(group: ReportGroup, context: str, mail: ReadMail, body: BounceText) -> Reason:
    action, status = group.action, group.status
    if action == "delayed":
        return Reason.DELAYED
    if action in ("delivered", "relayed", "expanded"):
        return Reason.RECEIPT
    if action != "failed":
        if status is not None and status.startswith("2"):
            return Reason.RECEIPT
        if is_delay(mail, body):
            return Reason.DELAYED
    failed = status if status and not status.startswith("2") else None
    return judge_report(failed, group.diagnostic, context)


def _gravest(recipients: list[ReportedRecipient]) -> Reason:
    kinds = [recipient.reason.kind for recipient in recipients]
    gravest = min(kinds, key=_GRAVITY.index)
    return recipients[kinds.index(gravest)].reason


def _recipient(
    address: str | None, action: str | None, status: str | None, said: str | None, reason: Reason
) -> ReportedRecipient:
    return ReportedRecipient(
        address=printable_line(address, _LONGEST_ADDRESS) if address else None,
        action=printable_line(action) if action else None,
        status=status,
        diagnostic=printable_line(said, _LONGEST_DIAGNOSTIC) or None if said else None,
        reason=reason,
    )


def _wants_to_leave(mail: ReadMail, reason: Reason) -> bool:
    """Tell whether a program wrote a reader's wish to leave: Apple's calls such a mail an automatic reply."""
    asks = mail.fields.text("subject").strip().lower().startswith("unsubscribe")
    is_apple = mail.fields.get("x-apple-unsubscribe").strip().lower() == "true"
    return reason is Reason.AUTOMATIC and (asks or is_apple)


def _returned(
    mail: ReadMail,
    about_mail: HeaderFields,
    body: BounceText,
    reason: Reason,
    recipients: list[ReportedRecipient],
) -> ReturnedMail:
    references, asks_to_leave = find_references(mail, about_mail, body.returned)
    return ReturnedMail(
        reason=reason,
        recipients=tuple(recipients),
        references=references,
        unsubscribe=asks_to_leave and (reason is Reason.ORDINARY or _wants_to_leave(mail, reason)),
    )
