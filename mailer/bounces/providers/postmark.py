"""Reads what Postmark reports about a mail. Pure.

After "Bounce webhook", "Spam complaint webhook", "Subscription change webhook" and the bounce types of
"Bounce API" in Postmark's documentation. Postmark signs nothing: the secret in the address is checked before.
"""

from datetime import datetime
from typing import Final

from mailer.bounces.providers.payload import name_at, own_references, text_at, value_at
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
from mailer.message.provider_reference import KEY

SOURCE: Final = "postmark"

BOUNCES: Final = {
    "HardBounce": Reason.USER_UNKNOWN,
    "BadEmailAddress": Reason.USER_UNKNOWN,
    # Says that a mailbox is full or switched off, which the answer of its host tells apart.
    "SoftBounce": Reason.OTHER,
    "Unknown": Reason.OTHER,
    "DnsError": Reason.SYSTEM,
    "SpamNotification": Reason.SPAM,
    "VirusNotification": Reason.VIRUS,
    "Blocked": Reason.BLOCKED,
    "DMARCPolicy": Reason.AUTHENTICATION,
    # By staff at Postmark's site, by Postmark itself, or for our account: nothing about the mailbox.
    "ManuallyDeactivated": Reason.POLICY,
    "Unconfirmed": Reason.POLICY,
    "SMTPApiError": Reason.POLICY,
    "TemplateRenderingFailed": Reason.POLICY,
    "SpamComplaint": Reason.ABUSE,
}
"""The reason for each type of a bounce; those in `_OTHERS` are no failures."""

_OTHERS: Final = frozenset(
    {
        # Postmark tries again after it.
        "Transient",
        *("AutoResponder", "AddressChange", "ChallengeVerification", "Subscribe"),
        *("OpenRelayTest", "InboundError"),
    }
)

SUPPRESSIONS: Final = {
    "HardBounce": Reason.USER_UNKNOWN,
    "SpamComplaint": Reason.ABUSE,
}
"""Why Postmark stops to send to an address; a "ManualSuppression" may be the reader's or our staff's."""

_OTHER_RECORDS: Final = frozenset({"Delivery", "Open", "Click", "Inbound"})


def read_event(payload: object, *, now: datetime) -> ProviderEvent:
    """Read one event."""
    record = text_at(payload, "RecordType")
    label = name_at(payload, "RecordType")
    is_known, found, answer = True, None, NO_ANSWER
    if record in ("Bounce", "SpamComplaint"):
        label = f"{label} {name_at(payload, 'Type')}"
        # The description is Postmark's own words about the type.
        answer = host_answer(text_at(payload, "Details"))
        is_known, found = _bounce(payload, record, answer)
    elif record == "SubscriptionChange":
        label = f"{label} {name_at(payload, 'SuppressionReason')}"
        is_known, found = _subscription_change(payload)
    elif record not in _OTHER_RECORDS:
        is_known = False
    if found is None:
        return ProviderEvent(label, is_known)
    references = own_references(text_at(payload, "Metadata", KEY))
    return ProviderEvent(label, is_known, evidence(found, SOURCE, references, answer, now=now))


def _bounce(payload: object, record: str, answer: HostAnswer) -> tuple[bool, KindAndReason | None]:
    """Return whether the type of a bounce is known, and what it means."""
    kind = text_at(payload, "Type") or record
    if kind == "Unsubscribe":
        return True, UNSUBSCRIBED
    if kind in BOUNCES:
        return True, judge(BOUNCES[kind], answer, is_open=kind == "Unknown")
    return kind in _OTHERS, None


def _subscription_change(payload: object) -> tuple[bool, KindAndReason | None]:
    """Return whether the reason of a change is known, and what it means."""
    if value_at(payload, "SuppressSending") is not True:
        # Sending begins again at Postmark; here only the reader or our staff may do that.
        return True, None
    reason = text_at(payload, "SuppressionReason") or ""
    if reason == "ManualSuppression":
        is_reader = text_at(payload, "Origin") == "Recipient"
        return True, UNSUBSCRIBED if is_reader else None
    if reason in SUPPRESSIONS:
        return True, judge(SUPPRESSIONS[reason])
    return False, None
