"""Reads an import file from bytes, for tests."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailer.subscribers.importing.columns import parse_columns
from mailer.subscribers.importing.read import ReaderFile, ReadOptions, read_rows
from mailer.subscribers.importing.rows import ImportRow, RejectedRow

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def read_file(
    folder: Path,
    data: bytes | None,
    columns: str = "",
    *,
    name: str = "readers.csv",
    **options: Any,
) -> ReaderFile:
    """Open a file with this data, or one that does not exist."""
    path = folder / name
    if data is not None:
        path.write_bytes(data)
    return read_rows(path, ReadOptions(NOW, parse_columns(columns), **options))


def read(
    folder: Path, data: bytes, columns: str = "", **options: Any
) -> list[ImportRow | RejectedRow]:
    """Return what the rows of such a file say."""
    return list(read_file(folder, data, columns, **options).rows)
