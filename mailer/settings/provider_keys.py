"""Parses `webhook_keys`: which providers may report bounces and complaints, and what their signatures need.

Pure: never reads or opens anything. Errors never repeat the text, because it may be a secret.
"""

import re
from collections.abc import Mapping
from typing import Final

from mailer.settings.parsers import Secret

SIGNING: Final = {
    "ses": (
        re.compile(
            "arn:aws(-cn|-us-gov)?:sns:[a-z]{2}(-[a-z]{2,12}){1,2}-[0-9]{1,2}:[0-9]{12}:[A-Za-z0-9_-]{1,256}"
        ),
        "ses=TOPIC_ARN, such as ses=arn:aws:sns:eu-central-1:123456789012:bounces",
    ),
    "mailgun": (
        re.compile(r"[!-+\--~]{8,200}"),
        "mailgun=SIGNING_KEY, which is under API Security at Mailgun",
    ),
}
"""The providers that sign: what the key of each looks like, and how it is written."""

UNSIGNED: Final = ("postmark", "brevo")
"""The providers that do not sign: the secret in the address is all that they send with."""

PROVIDERS: Final = (*SIGNING, *UNSIGNED)
_EXAMPLE: Final = "ses=TOPIC_ARN,mailgun=SIGNING_KEY,postmark,brevo"

WebhookKeys = Mapping[str, Secret | None]
"""The key of each provider that is named; None for one that does not sign."""


def parse(text: str) -> WebhookKeys:
    """Parse `ses=TOPIC_ARN,mailgun=SIGNING_KEY,postmark,brevo`, or some of these.

    Raises:
        ValueError: a provider is not known, is named twice, lacks its key, or has one that it cannot use.
    """
    keys: dict[str, Secret | None] = {}
    for item in _items(text):
        name, equals, key = (part.strip() for part in item.partition("="))
        if name not in PROVIDERS:
            raise ValueError(f"must name providers as in {_EXAMPLE}")
        if name in keys:
            raise ValueError(f"must name {name} once")
        if name in UNSIGNED and equals:
            raise ValueError(f"must name {name} without a key: it does not sign")
        if name in SIGNING:
            pattern, example = SIGNING[name]
            if not pattern.fullmatch(key):
                raise ValueError(f"must hold the key that {name} needs: {example}")
        keys[name] = Secret(key) if name in SIGNING else None
    return keys


def masked(text: str) -> str:
    """Mask everything but the providers' names: a key may also stand where a name should."""
    return ",".join(_masked_item(item) for item in _items(text))


def _masked_item(item: str) -> str:
    name, equals, _ = (part.strip() for part in item.partition("="))
    if name not in PROVIDERS:
        return "***"
    return f"{name}=***" if equals else name


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
