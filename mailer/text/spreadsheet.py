"""Writes cells of CSV files that no spreadsheet takes for a formula.

Pure.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from mailer.text.untrusted import without_controls

BOM: Final = "\ufeff"
"""Without it Excel reads UTF-8 as an older encoding."""

_FORMULA: Final = frozenset("=+-@\t\r")
_AFTER_APOSTROPHE: Final = _FORMULA | {"'"}


def neutral(text: str) -> str:
    """Put an apostrophe before a cell that would be a formula, or that would look like one with it.

    `mailer.subscribers.importing` takes such a cell back as it was.
    """
    is_formula = text[:1] in _FORMULA
    looks_neutral = text[:1] == "'" and text[1:2] in _AFTER_APOSTROPHE
    return f"'{text}" if text and (is_formula or looks_neutral) else text


def csv_lines(rows: Iterable[Sequence[str | None]]) -> Iterable[str]:
    """Yield each row as a line of CSV (RFC 4180), with neutral cells of one line; None is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow([neutral(without_controls(cell)) if cell else "" for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
