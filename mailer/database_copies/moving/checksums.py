"""Computes checksums of tables from their rows in canonical lines, and finds what cannot be stored. Pure.

A canonical line is what COPY of PostgreSQL reads and writes as text: the columns in the order of the model,
with a tab between two of them; instants in UTC with six digits of the second, truth values as 0 and 1. Both
engines write the same bytes for the same row, so that a checksum of their tables can be compared.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailer.text.untrusted import printable_line

_LONGEST_KEY = 60


@dataclass(frozen=True)
class TableSum:
    """How many rows a table has, and the SHA-256 of their canonical lines in the order of the primary key."""

    rows: int
    sha256: str


class TableChecksum:
    """Counts the rows of one table and computes their checksum, chunk by chunk."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        """Add whole lines, each with its line end; in the order of the primary key."""
        self.rows += chunk.count(b"\n")
        self._hash.update(chunk)

    @property
    def result(self) -> TableSum:
        """What was added until now."""
        return TableSum(self.rows, self._hash.hexdigest())


def differing(one: Mapping[str, TableSum], other: Mapping[str, TableSum]) -> list[str]:
    """Name the tables that differ, with both numbers of rows."""
    return [
        f"{name} ({one[name].rows:,} and {other[name].rows:,} rows)"
        for name in one
        if one[name] != other[name]
    ]


@dataclass(frozen=True)
class BadValue:
    """A text that PostgreSQL cannot store.

    Attributes:
        key: the row's primary key, as text.
        reason: what is wrong with the text.
    """

    table: str
    column: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of the row {self.key} ({self.reason})"


def is_storable(chunk: bytes) -> bool:
    """Tell whether PostgreSQL can store these lines: UTF-8 without a NUL."""
    return b"\0" not in chunk and _is_utf8(chunk)


def bad_values(
    chunk: bytes, table: str, columns: Sequence[str], key_columns: Sequence[str]
) -> Iterator[BadValue]:
    """Find the values in these lines that PostgreSQL cannot store.

    Args:
        columns: the names of the columns, in the order of the line.
        key_columns: which of them are the primary key.
    """
    for line in chunk.split(b"\n"):
        if is_storable(line):
            continue
        fields = dict(zip(columns, line.split(b"\t"), strict=True))
        key = ", ".join(fields[name].decode(errors="replace") for name in key_columns)
        for column, value in fields.items():
            if not is_storable(value):
                reason = "a NUL character" if b"\0" in value else "not UTF-8"
                yield BadValue(table, column, printable_line(key, _LONGEST_KEY), reason)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
