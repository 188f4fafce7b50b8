"""Makes what mail providers post to webhooks, in the shapes that their pages document; all data is invented.

Imports nothing of the mailer, so that black-box tests can use it.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-central-1:123456789012:bounces"
AMAZON = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE_URL = f"{AMAZON}/SimpleNotificationService-0123456789abcdef.pem"
SUBSCRIBE_URL = f"{AMAZON}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
MAILGUN_KEY = "0123456789abcdef0123456789abcdef"
READER = "reader@example.com"
AT = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)

SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
    "UnsubscribeConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}


class Signer:
    """A key, and a certificate of it that is valid for a year around `AT`."""

    def __init__(self, *, bits: int = 2048, begins: datetime = AT - timedelta(days=180)) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=365))
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def sign(self, message: dict[str, Any], version: str = "2") -> dict[str, Any]:
        """A message of SNS with its signature."""
        names = [name for name in SIGNED[message["Type"]] if name in message]
        text = "".join(f"{name}\n{message[name]}\n" for name in names)
        algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return {
            **message,
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
        }


@cache
def amazon() -> Signer:
    """The signer of all good messages; making a key takes a while."""
    return Signer()


def sns_notification(event: object, **fields: Any) -> dict[str, Any]:
    """A notification that is not signed yet."""
    return {
        "Type": "Notification",
        "MessageId": "0b9f7c1e-0000-5000-8000-2f1f0a1b2c3d",
        "TopicArn": TOPIC,
        "Message": event if isinstance(event, str) else json.dumps(event),
        "Timestamp": "2026-11-24T05:59:58.123Z",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": f"{AMAZON}/?Action=Unsubscribe&SubscriptionArn={TOPIC}:1",
        **fields,
    }


def sns_confirmation(kind: str = "SubscriptionConfirmation", **fields: Any) -> dict[str, Any]:
    """What SNS posts when the address was subscribed or unsubscribed, not signed yet."""
    return {
        "Type": kind,
        "MessageId": "0b9f7c1e-0000-5000-8000-2f1f0a1b2c3e",
        "Token": "2336412f37",
        "TopicArn": TOPIC,
        "Message": f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm, visit it.",
        "SubscribeURL": SUBSCRIBE_URL,
        "Timestamp": "2026-11-24T05:59:58.123Z",
        "SigningCertURL": CERTIFICATE_URL,
        **fields,
    }


def ses_mail(reference: str, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-11-24T05:50:00.000Z",
        "messageId": "0107019a-0000-0000-0000-000000000000-000000",
        "source": "daily@news.example",
        "destination": [READER],
        "headersTruncated": False,
        "headers": [
            {"name": "From", "value": "The Daily <daily@news.example>"},
            {"name": "To", "value": READER},
            {"name": "X-Mailer-Reference", "value": reference},
            {"name": "Subject", "value": "Good morning"},
        ],
        "commonHeaders": {"messageId": "<x@news.example>", "subject": "Good morning"},
        **fields,
    }


def ses_bounce(
    reference: str,
    kind: str = "Permanent",
    subtype: str = "NoEmail",
    *,
    name: str = "notificationType",
    **recipient: Any,
) -> dict[str, Any]:
    return {
        name: "Bounce",
        "bounce": {
            "feedbackId": "0107019a-1111",
            "bounceType": kind,
            "bounceSubType": subtype,
            "bouncedRecipients": [{"emailAddress": READER, **recipient}],
            "timestamp": "2026-11-24T05:59:57.000Z",
            "remoteMtaIp": "192.0.2.7",
            "reportingMTA": "dns; a.smtp-out.example",
        },
        "mail": ses_mail(reference),
    }


def ses_complaint(reference: str, **complaint: Any) -> dict[str, Any]:
    return {
        "notificationType": "Complaint",
        "complaint": {
            "feedbackId": "0107019a-2222",
            "complaintSubType": None,
            "complainedRecipients": [{"emailAddress": READER}],
            "timestamp": "2026-11-24T05:59:57.000Z",
            "userAgent": "ExampleCorp Feedback Loop (V0.01)",
            "complaintFeedbackType": "abuse",
            **complaint,
        },
        "mail": ses_mail(reference),
    }


def mailgun(reference: str, event: str = "failed", **data: Any) -> dict[str, Any]:
    """An event with its signature of `AT`."""
    return mailgun_signed(
        {
            "id": "Ase7i2zsRYeDXztHGENqRA",
            "event": event,
            "timestamp": AT.timestamp(),
            "log-level": "error",
            "recipient": READER,
            "recipient-domain": "example.com",
            "message": {"headers": {"message-id": "x@news.example", "to": READER}, "size": 867},
            "user-variables": {"reference": reference},
            **data,
        }
    )


def mailgun_failed(
    reference: str, severity: str = "permanent", reason: str = "bounce", **status: Any
) -> dict[str, Any]:
    return mailgun(
        reference,
        severity=severity,
        reason=reason,
        **{"delivery-status": {"code": 550, "attempt-no": 1, "message": "", **status}},
    )


def mailgun_signed(
    event: object, *, key: str = MAILGUN_KEY, at: datetime = AT, token: str = "a" * 50
) -> dict[str, Any]:
    stamp = str(int(at.timestamp()))
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    block = {"timestamp": stamp, "token": token, "signature": signature}
    return {"signature": block, "event-data": event}


def postmark(reference: str, record: str = "Bounce", **fields: Any) -> dict[str, Any]:
    return {
        "RecordType": record,
        "MessageID": "883953f4-0000-0000-0000-a8eac7948300",
        "ServerID": 1,
        "MessageStream": "broadcast",
        "Metadata": {"reference": reference},
        **fields,
    }


def postmark_bounce(reference: str, kind: str = "HardBounce", **fields: Any) -> dict[str, Any]:
    return postmark(
        reference,
        ID=42,
        Type=kind,
        TypeCode=1,
        Name=kind,
        Email=READER,
        Details="",
        BouncedAt="2026-11-24T05:59:57.0000000Z",
        Inactive=True,
        **fields,
    )


def postmark_suppression(
    reference: str, reason: str | None, origin: str = "Recipient", *, suppress: bool = True
) -> dict[str, Any]:
    return postmark(
        reference,
        "SubscriptionChange",
        Recipient=READER,
        ChangedAt="2026-11-24T05:59:57.000000Z",
        Origin=origin,
        SuppressSending=suppress,
        SuppressionReason=reason,
    )


def brevo(reference: str, event: str = "hard_bounce", **fields: Any) -> dict[str, Any]:
    return {
        "event": event,
        "email": READER,
        "id": 26224,
        "date": "2026-11-24 07:00:00",
        "ts": 1795500000,
        "ts_event": 1795500000,
        "ts_epoch": 1795500000000,
        "message-id": "<202611240600.1@relay.example>",
        "subject": "Good morning",
        "X-Mailin-custom": f"reference:{reference}",
        "tags": [],
        **fields,
    }
