"""Keeps the rows of a file that cannot be used: the first ones in memory, and all in a temporary file.

So a file of a million such rows needs no more memory than a good one. Never prints.
"""

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from mailer.subscribers.importing.rows import RejectedRow

FIRST: Final = 20
"""How many of them people are shown."""

_IN_MEMORY: Final = 64 * 1024


class RejectedRows:
    """Rejected rows in the order in which they were added; closed at the end of its block."""

    def __init__(self) -> None:
        self.first: list[RejectedRow] = []
        self._count = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - see __exit__

    def __enter__(self) -> "RejectedRows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, row: RejectedRow) -> None:
        """Add a row."""
        self._count += 1
        if len(self.first) < FIRST:
            self.first.append(row)
        self._file.write(json.dumps(row).encode() + b"\n")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[RejectedRow]:
        self._file.seek(0)
        for line in self._file:
            yield RejectedRow(*json.loads(line))
