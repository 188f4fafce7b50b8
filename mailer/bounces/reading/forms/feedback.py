"""Reads what readers report to their providers (RFC 5965), and older forms of it.

Never says who complained: providers remove addresses, so that the mail they send back has to tell.
"""

from dataclasses import dataclass
from typing import Final

from mailer.bounces.reading.addresses import first_address
from mailer.bounces.reading.fields import HeaderFields
from mailer.bounces.reading.forms.delivery_status import read_plain_fields
from mailer.bounces.reading.mime import ReadMail
from mailer.bounces.reasons import Reason

_MOST_ADDRESSES: Final = 50
_REASONS: Final = {
    "abuse": Reason.ABUSE,
    "fraud": Reason.FRAUD,
    "virus": Reason.VIRUS_REPORT,
    "opt-out": Reason.OPT_OUT,
    "opt-out-list": Reason.OPT_OUT,
    "not-spam": Reason.NOT_SPAM,
    # RFC 6591: a receiver found that a mail is not authentic. No reader complains.
    "auth-failure": Reason.AUTHENTICATION_REPORT,
    "dmarc": Reason.AUTHENTICATION_REPORT,
}


@dataclass(frozen=True)
class FeedbackReport:
    """What a reader, or a machine for the reader, says about a mail."""

    reason: Reason
    fields: HeaderFields
    addresses: tuple[str, ...]


def find_feedback(mail: ReadMail) -> FeedbackReport | None:
    """Return the feedback that a mail is, or None."""
    for part in mail.parts:
        if part.content_type == "message/feedback-report" and not part.is_returned:
            fields = read_plain_fields(part.text())
            reason = feedback_reason(fields.get("feedback-type"))
            return FeedbackReport(reason, fields, _complained(fields, mail))
    if _is_hotmail_report(mail):
        return FeedbackReport(Reason.ABUSE, HeaderFields(), _complained(HeaderFields(), mail))
    return None


def feedback_reason(kind: str) -> Reason:
    """Return what a type of feedback means, also one that is not registered."""
    return _REASONS.get(kind.strip().lower(), Reason.OTHER_COMPLAINT)


def _complained(fields: HeaderFields, mail: ReadMail) -> tuple[str, ...]:
    values = fields.every("original-rcpt-to", "removal-recipient", "redacted-address")
    named = [address for value in values if (address := first_address(value))]
    if named:
        return tuple(dict.fromkeys(named))[:_MOST_ADDRESSES]
    for part in mail.parts:
        if part.mail is not None:
            for value in part.mail.every(
                "x-hmxmroriginalrecipient", "x-aol-original-recipient", "to"
            ):
                address = first_address(value)
                if address:
                    return (address,)
    return ()


def _is_hotmail_report(mail: ReadMail) -> bool:
    """Tell whether it is a report as Hotmail's programme for senders sent it: the mail, with a subject."""
    subject = mail.fields.text("subject").lower()
    return subject.startswith("complaint about message from ") and any(
        part.mail is not None for part in mail.parts
    )
