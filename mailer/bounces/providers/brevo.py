"""Reads what Brevo reports about a mail. Pure.

After "Transactional webhooks" of Brevo's documentation. Brevo signs nothing: the secret in the address is
checked before.
"""

from datetime import datetime
from typing import Final

from mailer.bounces.providers.payload import name_at, own_references, text_at
from mailer.bounces.providers.provider_event import (
    UNSUBSCRIBED,
    ProviderEvent,
    evidence,
    host_answer,
    judge,
)
from mailer.bounces.reasons import Reason
from mailer.message.provider_reference import KEY

SOURCE: Final = "brevo"

REASONS: Final = {
    "hard_bounce": Reason.USER_UNKNOWN,
    "invalid_email": Reason.USER_UNKNOWN,
    "soft_bounce": Reason.OTHER,
    # Not sent: the address is on Brevo's list of blocked ones, for a bounce, a complaint or by staff.
    "blocked": Reason.BLOCKED,
    "error": Reason.SYSTEM,
    "spam": Reason.ABUSE,
}
"""What each event about a failure means."""

_UNSUBSCRIBED: Final = frozenset({"unsubscribed", "unsubscribe"})
_OTHERS: Final = frozenset(
    {
        # Brevo tries again after it.
        "deferred",
        *("request", "sent", "delivered", "opened", "unique_opened", "click"),
        *("proxy_open", "unique_proxy_open"),
    }
)


def read_event(payload: object, *, now: datetime) -> ProviderEvent:
    """Read one event."""
    name = text_at(payload, "event") or ""
    label = name_at(payload, "event")
    reason = REASONS.get(name)
    if reason is None and name not in _UNSUBSCRIBED:
        return ProviderEvent(label, name in _OTHERS)
    answer = host_answer(text_at(payload, "reason"))
    found = UNSUBSCRIBED if reason is None else judge(reason, answer)
    references = own_references(*_custom(payload), text_at(payload, "message-id"))
    return ProviderEvent(label, True, evidence(found, SOURCE, references, answer, now=now))


def _custom(payload: object) -> list[str]:
    """Return what our header says; it may hold more than our reference, as `name:value|name:value`."""
    header = (text_at(payload, "X-Mailin-custom") or "")[:2000]
    return [
        part.strip().removeprefix(f"{KEY}:")
        for part in header.split("|")
        if part.strip().startswith(f"{KEY}:")
    ]
