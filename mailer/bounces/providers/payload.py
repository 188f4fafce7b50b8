"""Reads JSON that a stranger may have written: any type may stand anywhere. Pure.

What is missing, or has another type than a provider documents, is None.
"""

import json
from typing import Final, NoReturn

from mailer.text.untrusted import printable_line
from mailer.tokens import referenced_row

_MOST_ITEMS: Final = 200
"""How many items of a list are looked at: a mail of ours has one recipient and some thirty headers."""

_LONGEST_NAME: Final = 60


class BadPayload(ValueError):
    """The body is not JSON."""


class NotAuthentic(Exception):
    """The report was not signed by the provider for us; the text says what is wrong with it."""


def read_json(body: bytes | str) -> object:
    """Parse JSON as RFC 8259 has it: in UTF-8, and without NaN and infinity.

    Raises:
        BadPayload: it is something else, or nested too deeply.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        return json.loads(text, parse_constant=_refuse)
    # Deep nesting ends in a RecursionError, and a number of thousands of digits in a ValueError.
    except (ValueError, RecursionError) as error:
        raise BadPayload from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def value_at(payload: object, *path: str) -> object:
    """Return what stands at the end of `path`, through objects only; None if nothing does."""
    for name in path:
        if not isinstance(payload, dict):
            return None
        payload = payload.get(name)
    return payload


def text_at(payload: object, *path: str) -> str | None:
    """Return the text at the end of `path`; None if there is none."""
    value = value_at(payload, *path)
    return value if isinstance(value, str) else None


def items_at(payload: object, *path: str) -> list[object]:
    """Return the first items of the list at the end of `path`; none if there is no list."""
    value = value_at(payload, *path)
    return value[:_MOST_ITEMS] if isinstance(value, list) else []


def name_at(payload: object, *path: str) -> str:
    """Return the text at the end of `path` for a log: short, and without what may be an address."""
    text = (text_at(payload, *path) or "")[: 2 * _LONGEST_NAME]
    # Providers name their events in ASCII.
    name = printable_line(text.encode("ascii", "replace").decode(), _LONGEST_NAME)
    return "(an address)" if "@" in name else name or "(none)"


def own_references(*candidates: str | None) -> tuple[str, ...]:
    """Return the references among these texts, in their order; a text may also be a Message-ID of ours."""
    found = []
    for candidate in candidates:
        # Longer than any of ours with a domain around it, so the rest of it does not matter.
        text = (candidate or "")[:1000].strip()
        local = text.removeprefix("<").partition("@")[0].lower()
        if referenced_row(local) is not None:
            found.append(local)
    return tuple(dict.fromkeys(found))
