"""What Amazon SES reports by mail, in invented notifications."""

import json

import pytest

from mailer.bounces.reading.read import read_returned
from mailer.bounces.reading.returned import ReturnedMail
from mailer.bounces.reasons import Reason
from tests.support.returned_mails import READER, REFERENCE

HEADER = "From: no-reply@sns.example\nTo: bounces@news.example\nSubject: AWS Notification Message\n"
MAIL = {
    "destination": [READER],
    "headers": [
        {"name": "To", "value": READER},
        {"name": "Message-ID", "value": f"<{REFERENCE}@news.example>"},
    ],
}


def notified(event: object, *, fold: str = "") -> ReturnedMail:
    text = json.dumps({"Type": "Notification", "Message": json.dumps(event)})
    return read_returned(f"{HEADER}\n{text[:150]}{fold}{text[150:]}\n".encode())


def bounce(kind: str, subtype: str, **recipient: str) -> dict[str, object]:
    recipients = [{"emailAddress": READER, **recipient}]
    about = {"bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": recipients}
    return {"notificationType": "Bounce", "bounce": about, "mail": MAIL}


def test_a_bounce_is_about_the_recipient_and_our_mail() -> None:
    said = {"action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
    mail = notified(bounce("Permanent", "General", **said))
    (recipient,) = mail.recipients
    assert (recipient.address, recipient.action, recipient.status) == (READER, "failed", "5.1.1")
    assert mail.reason is Reason.USER_UNKNOWN
    assert mail.references == (REFERENCE,)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (bounce("Permanent", "General"), Reason.USER_UNKNOWN),
        (bounce("Permanent", "Novel"), Reason.OTHER),
        (bounce("Transient", "MailboxFull"), Reason.MAILBOX_FULL),
        (bounce("Permanent", "General", diagnosticCode="550 looks like spam"), Reason.SPAM),
        # SES reports automatic replies in this way.
        (bounce("Transient", "General"), Reason.AUTOMATIC),
        (bounce("Transient", "General", action="delayed", diagnosticCode="451"), Reason.DELAYED),
        (bounce("Permanent", "General", status="x.y", diagnosticCode="?"), Reason.USER_UNKNOWN),
        ({"eventType": "Delivery", "delivery": {"recipients": [READER]}}, Reason.RECEIPT),
        ({"eventType": "Open", "mail": MAIL}, Reason.ORDINARY),
        (["Bounce"], Reason.ORDINARY),
    ],
)
def test_each_event_has_its_reason(event: object, reason: Reason) -> None:
    assert notified(event).reason is reason


@pytest.mark.parametrize(
    ("feedback", "reason"), [(None, Reason.ABUSE), ("not-spam", Reason.NOT_SPAM)]
)
def test_a_complaint_is_read(feedback: str | None, reason: Reason) -> None:
    about = {
        "complainedRecipients": [{"emailAddress": READER}],
        "complaintFeedbackType": feedback,
    }
    mail = notified({"notificationType": "Complaint", "complaint": about, "mail": MAIL})
    assert (mail.reason, mail.recipients[0].address) == (reason, READER)


def test_lines_that_a_host_broke_are_joined() -> None:
    assert notified(bounce("Permanent", "General"), fold="!\r\n ").reason is Reason.USER_UNKNOWN


@pytest.mark.parametrize("text", ["{", '{"Message": 1}', '{"Message": "{"}', '{"a":' * 40_000])
def test_what_is_no_notification_is_an_ordinary_mail(text: str) -> None:
    assert read_returned(f"{HEADER}\n{text}\n".encode()).reason is Reason.ORDINARY
