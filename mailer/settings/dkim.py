"""Parses the settings of DKIM, and checks that they fit together. Pure: never opens a key."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mailer import address
from mailer.errors import BadAddress
from mailer.settings.provider_keys import WebhookKeys

_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_SELECTOR: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+")

_CHANGES_HEADERS: Final = ("ses", "postmark", "brevo")
"""These replace our Message-ID, and some our Date: a signature over those would be broken behind them.

https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-manual.html says so of Amazon SES.
"""


def files(text: str) -> tuple[Path, ...]:
    """Parse the names of files."""
    return tuple(Path(item.strip()) for item in text.split(",") if item.strip())


def selectors(text: str) -> tuple[str, ...]:
    """Parse selectors (RFC 6376 section 3.1).

    Raises:
        ValueError: one cannot be a part of a domain name, or stands there twice.
    """
    names = tuple(item.strip() for item in text.split(",") if item.strip())
    if not all(_SELECTOR.fullmatch(name) and len(name) <= 100 for name in names):
        raise ValueError("must consist of letters, digits and hyphens, such as news2026")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("must be another name for each key; `mailer dkim new` makes a key for one")
    return names


def selector(text: str) -> str:
    """Parse one selector.

    Raises:
        ValueError: it is none, or several.
    """
    names = selectors(text)
    if len(names) != 1:
        raise ValueError("must be one name of letters, digits and hyphens, such as news2026")
    return names[0]


def domain(text: str) -> str:
    """Parse a mail domain, and write it as A-labels in lower case.

    Raises:
        ValueError: no mail address can have it.
    """
    try:
        return address.parse(f"postmaster@{text}").domain
    except BadAddress as error:
        raise ValueError("must be the domain of mail addresses, such as news.example") from error


def problems(
    keys: Sequence[Path],
    key_selectors: Sequence[str],
    signing_domain: str | None,
    *,
    relay_signs: bool,
    webhooks: WebhookKeys,
) -> list[str]:
    """Say what does not fit together, and what to set."""
    given = {"dkim_key": keys, "dkim_selector": key_selectors, "dkim_domain": signing_domain}
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return []
    found = []
    if missing:
        names = " and ".join(name for name in given if name not in missing)
        found.append(
            f"{' and '.join(missing)} must be set as well as {names}; remove {names}, or set all"
        )
    elif len(keys) != len(key_selectors):
        found.append(
            f"dkim_selector must name one selector for each file of dkim_key: "
            f"{len(keys)}, not {len(key_selectors)}"
        )
    if relay_signs:
        found.append(
            "dkim_key and relay_signs_dkim exclude each other: a mail is signed here or by the relay; "
            "remove one of them"
        )
    changing = [name for name in _CHANGES_HEADERS if name in webhooks]
    if changing:
        found.append(
            f"dkim_key cannot be used with {' and '.join(changing)} in webhook_keys, because such a provider "
            "replaces headers that are signed; remove dkim_key, let it sign, and set relay_signs_dkim"
        )
    return found
