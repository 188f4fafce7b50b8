"""Reads what Mailgun reports about a mail, and checks its signature. Pure.

After "Webhook Payloads", "Event types" and "Securing Webhooks" of Mailgun's documentation. The signature
covers a time and a token, and not the event: so it proves only that its sender once saw a request of
Mailgun's, and old ones are refused.
"""

import hmac
from datetime import datetime, timedelta
from typing import Final

from mailer.bounces.providers.payload import (
    NotAuthentic,
    name_at,
    own_references,
    text_at,
    value_at,
)
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

SOURCE: Final = "mailgun"

OLDEST: Final = timedelta(hours=12)
"""For how long a signature is accepted: Mailgun tries for eight hours ("Automatic Retries")."""

_CLOCKS_DIFFER: Final = timedelta(minutes=15)
_LONGEST_TOKEN: Final = 200

PERMANENT: Final = {
    "bounce": Reason.USER_UNKNOWN,
    "delayed-bounce": Reason.USER_UNKNOWN,
    "hardfail": Reason.USER_UNKNOWN,
    # It was not tried, because an earlier mail had bounced.
    "suppress-bounce": Reason.NOT_ACCEPTING,
    # It was not tried, because the reader had complained.
    "suppress-complaint": Reason.ABUSE,
    "old": Reason.EXPIRED,
    "espblock": Reason.BLOCKED,
    "blacklisted": Reason.BLOCKED,
    "greylisted": Reason.CONGESTED,
    "generic": Reason.OTHER,
}
"""What each reason of a permanent failure means."""

_NOT_TRIED: Final = frozenset({"suppress-bounce", "suppress-complaint"})
_OTHERS: Final = frozenset({"accepted", "delivered", "opened", "clicked", "stored"})


def check_signature(payload: object, key: str, *, now: datetime) -> None:
    """Check that this request has a signature of Mailgun's that is not too old.

    One that is replayed may carry any event. That does no harm as long as its sender knows no reference:
    the same event counts once for each mail. So no token is remembered.

    Raises:
        NotAuthentic: it has none.
    """
    block = value_at(payload, "signature")
    timestamp, token = text_at(block, "timestamp"), text_at(block, "token")
    signature = text_at(block, "signature")
    if not (timestamp and token and signature):
        raise NotAuthentic("it has no signature")
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 11
    if not is_number or len(token) > _LONGEST_TOKEN:
        raise NotAuthentic("its signature block is not as Mailgun writes it")
    signed = f"{timestamp}{token}".encode(errors="replace")
    expected = hmac.digest(key.encode(), signed, "sha256").hex()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise NotAuthentic(
            "its signature is wrong; is the signing key in webhook_keys the current one?"
        )
    age = timedelta(seconds=now.timestamp() - int(timestamp))
    if not -_CLOCKS_DIFFER <= age <= OLDEST:
        raise NotAuthentic("its signature is too old, or one of the clocks is wrong")


def read_event(payload: object, *, now: datetime) -> ProviderEvent:
    """Read one event."""
    event = value_at(payload, "event-data")
    name = text_at(event, "event")
    label = name_at(event, "event")
    is_known, found, answer = True, None, NO_ANSWER
    if name == "failed":
        label = f"{label} {name_at(event, 'severity')} {name_at(event, 'reason')}"
        answer = _answer(event)
        is_known, found = _failure(event, answer)
    elif name == "complained":
        found = judge(Reason.ABUSE)
    elif name == "unsubscribed":
        found = UNSUBSCRIBED
    elif name == "rejected":
        # By Mailgun itself, for the mail's content or our account.
        found = judge(Reason.POLICY)
    elif name not in _OTHERS:
        is_known = False
    if found is None:
        return ProviderEvent(label, is_known)
    references = own_references(
        text_at(event, "user-variables", KEY),
        text_at(event, "message", "headers", "message-id"),
    )
    return ProviderEvent(label, is_known, evidence(found, SOURCE, references, answer, now=now))


def _failure(event: object, answer: HostAnswer) -> tuple[bool, KindAndReason | None]:
    """Return whether the reason of a failure is known, and what it means."""
    reason = text_at(event, "reason") or ""
    if text_at(event, "severity") != "permanent" and reason != "old":
        # Mailgun tries again. Its last failure for "old" has been temporary, too.
        return True, None
    if reason == "suppress-unsubscribe":
        return True, UNSUBSCRIBED
    if reason in _NOT_TRIED:
        # What stands as an answer is Mailgun's own.
        return True, judge(PERMANENT[reason])
    found = judge(PERMANENT.get(reason, Reason.OTHER), answer, is_open=True)
    return reason in PERMANENT, found


def _answer(event: object) -> HostAnswer:
    status = value_at(event, "delivery-status")
    # The description is Mailgun's own words, if the host gave none.
    said = text_at(status, "message") or text_at(status, "description")
    return host_answer(said, text_at(status, "enhanced-code"))
