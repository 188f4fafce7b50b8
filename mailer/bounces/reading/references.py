"""Finds the references by which a returned mail may name one of ours.

Never says that one is ours: only the ledger knows. A delivery's bare number is no reference, because anybody
can guess it.
"""

import re
from collections.abc import Iterator
from typing import Final

from mailer.bounces.reading.fields import HeaderFields
from mailer.bounces.reading.mime import ReadMail

_REFERENCE: Final = re.compile(
    r"(?<![A-Za-z0-9])(u\.)?([dn]\d{1,19}\.[0-9a-f]{32})(?![0-9a-f])", re.IGNORECASE
)
_ENVELOPE: Final = (
    "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to",
    "apparently-to", "to",
)  # fmt: skip
_MOST: Final = 10
_LONGEST_VALUE: Final = 4_000
_RETURNED: Final = ("message-id", "list-unsubscribe", "x-mailer-reference")


def find_references(
    mail: ReadMail, about_mail: HeaderFields, returned_text: str
) -> tuple[tuple[str, ...], bool]:
    """Return the candidates, the most trusted first, and whether the mail came to the address for leaving.

    Args:
        about_mail: the fields of a report about the mail.
        returned_text: what was returned as mere text.
    """
    envelope = [found for value in mail.fields.every(*_ENVELOPE) for found in _find(value)]
    asks_to_leave = any(prefix for prefix, _ in envelope)
    found = [reference for _, reference in envelope]
    found += _all(about_mail.every("original-envelope-id", "original-message-id"))
    for part in mail.parts:
        if part.mail is not None:
            found += _all(part.mail.every(*_RETURNED))
    found += _all(_returned_values(returned_text))
    return tuple(dict.fromkeys(found))[:_MOST], asks_to_leave


def _find(value: str) -> Iterator[tuple[bool, str]]:
    for match in _REFERENCE.finditer(value[:_LONGEST_VALUE]):
        yield match[1] is not None, match[2].lower()


def _all(values: Iterator[str]) -> list[str]:
    return [reference for value in values for _, reference in _find(value)]


def _returned_values(text: str) -> Iterator[str]:
    """Return the values of fields that stand in plain text, whatever quotes them."""
    wanted = False
    for line in text.split("\n")[:2_000]:
        bare = line.lstrip("> \t|")
        name, colon, value = bare.partition(":")
        if colon and " " not in name.strip() and name:
            wanted = name.strip().lower() in _RETURNED
            if wanted:
                yield value
        elif wanted and line[:1] in (" ", "\t", ">"):
            yield bare
        else:
            wanted = False
