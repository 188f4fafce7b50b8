"""Reads what Amazon SES reports about a mail: the JSON in the `Message` of a notification of SNS. Pure.

After "Amazon SNS notification contents for Amazon SES" and "Contents of event data that Amazon SES publishes
to Amazon SNS". Whether Amazon sent it is for `mailer.bounces.providers.sns`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from mailer.bounces.providers.payload import items_at, name_at, own_references, text_at, value_at
from mailer.bounces.providers.provider_event import (
    NO_ANSWER,
    UNSUBSCRIBED,
    HostAnswer,
    KindAndReason,
    ProviderEvent,
    evidence,
    host_answer,
    judge,
)
from mailer.bounces.reasons import Reason
from mailer.message.provider_reference import REFERENCE_HEADERS

SOURCE: Final = "ses"

BOUNCES: Final = {
    # SES does not tell why: the status of the receiving host does, if there is one.
    ("Undetermined", "Undetermined"): Reason.OTHER,
    ("Permanent", "General"): Reason.USER_UNKNOWN,
    ("Permanent", "NoEmail"): Reason.USER_UNKNOWN,
    # It was not tried: the address is on a list of SES, because it does not exist or has complained.
    ("Permanent", "Suppressed"): Reason.USER_UNKNOWN,
    ("Permanent", "OnAccountSuppressionList"): Reason.NOT_ACCEPTING,
    ("Permanent", "OnTenantSuppressionList"): Reason.NOT_ACCEPTING,
    # Only a guess about the address, so it does not count at once.
    ("Permanent", "EmailValidationSuppressed"): Reason.OTHER,
    ("Transient", "General"): Reason.OTHER,
    ("Transient", "MailboxFull"): Reason.MAILBOX_FULL,
    ("Transient", "MessageTooLarge"): Reason.SIZE,
    ("Transient", "CustomTimeoutExceeded"): Reason.EXPIRED,
    ("Transient", "ContentRejected"): Reason.POLICY,
    ("Transient", "AttachmentRejected"): Reason.CONTENT,
}
"""The reason for each type and subtype of a bounce."""

_KINDS: Final = frozenset({"Permanent", "Transient", "Undetermined"})

COMPLAINTS: Final = {
    "abuse": Reason.ABUSE,
    "fraud": Reason.FRAUD,
    "virus": Reason.VIRUS_REPORT,
    "other": Reason.OTHER_COMPLAINT,
    "opt-out": Reason.OPT_OUT,
}
"""The reason for each type of feedback; the others of RFC 5965 and its registry are no complaints."""

_NO_COMPLAINTS: Final = frozenset({"not-spam", "auth-failure", "dmarc"})
_OTHERS: Final = frozenset(
    {
        *(
            "Delivery",
            "Send",
            "Open",
            "Click",
            "Rendering Failure",
            "DeliveryDelay",
            "Subscription",
        ),
        # Once, when a topic is entered at SES.
        "AmazonSnsSubscriptionSucceeded",
    }
)
_TOPIC_TEST: Final = "Successfully validated SNS topic"
_NOT_A_BOUNCE: Final = frozenset({"delayed", "delivered", "relayed", "expanded"})


def is_topic_test(message: str) -> bool:
    """Tell whether this is what SES publishes once when a topic is entered there; it is no JSON."""
    return message.startswith(_TOPIC_TEST)


def read_event(payload: object, *, now: datetime) -> ProviderEvent:
    """Read one event; both names of its type are known, of notifications and of published events."""
    kind = "eventType" if text_at(payload, "eventType") else "notificationType"
    name = text_at(payload, kind)
    label = name_at(payload, kind)
    is_known, found, answer = True, None, NO_ANSWER
    if name == "Bounce":
        is_known, found, answer = _bounce(payload)
        label = f"{label} {name_at(payload, 'bounce', 'bounceType')}"
        label = f"{label} {name_at(payload, 'bounce', 'bounceSubType')}"
    elif name == "Complaint":
        found = _complaint(payload)
    elif name == "Reject":
        # The only reason that SES gives is a virus.
        found = judge(Reason.VIRUS)
    elif name == "Subscription" and _has_left_all(payload):
        found = UNSUBSCRIBED
    elif name not in _OTHERS:
        is_known = False
    if found is None:
        return ProviderEvent(label, is_known)
    references = own_references(*_candidates(payload))
    return ProviderEvent(label, is_known, evidence(found, SOURCE, references, answer, now=now))


def _bounce(payload: object) -> tuple[bool, KindAndReason | None, HostAnswer]:
    """Return whether the type of a bounce is known, what it means, and what the receiving host said."""
    kind = text_at(payload, "bounce", "bounceType") or ""
    subtype = text_at(payload, "bounce", "bounceSubType") or ""
    every = items_at(payload, "bounce", "bouncedRecipients")
    failed = [one for one in every if (text_at(one, "action") or "").lower() not in _NOT_A_BOUNCE]
    # A mail of ours has one recipient.
    first = failed[0] if failed else None
    answer = host_answer(text_at(first, "diagnosticCode"), text_at(first, "status"))
    if every and not failed:
        return True, None, answer
    if (kind, subtype) == ("Transient", "General") and answer == NO_ANSWER:
        # SES reports automatic replies, such as out of office, in this way, too.
        return True, None, answer
    if subtype == "UnsubscribedRecipient":
        return True, UNSUBSCRIBED, answer
    if kind not in _KINDS:
        return False, None, answer
    reason = BOUNCES.get((kind, subtype), Reason.OTHER)
    is_known = (kind, subtype) in BOUNCES
    return is_known, judge(reason, answer, is_open=kind != "Transient"), answer


def _complaint(payload: object) -> KindAndReason | None:
    feedback = (text_at(payload, "complaint", "complaintFeedbackType") or "abuse").lower()
    if feedback in _NO_COMPLAINTS:
        return None
    return judge(COMPLAINTS.get(feedback, Reason.OTHER_COMPLAINT))


def _has_left_all(payload: object) -> bool:
    path = ("subscription", "newTopicPreferences", "unsubscribeAll")
    return value_at(payload, *path) is True


def _candidates(payload: object) -> Iterator[str | None]:
    """List what may be our reference: our own header first, then the Message-ID that we wrote."""
    headers = [
        ((text_at(one, "name") or "").lower(), text_at(one, "value"))
        for one in items_at(payload, "mail", "headers")
    ]
    for name in (REFERENCE_HEADERS[SOURCE].name.lower(), "message-id"):
        yield from (value for header, value in headers if header == name)
    yield text_at(payload, "mail", "commonHeaders", "messageId")
