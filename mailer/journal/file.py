"""Keeps the journal's copy beside a database of SQLite: a file to which lines are appended.

Each process locks the file while it appends. A last line that was cut, because the power failed or the disk
was full, is removed before the next one is written. Never reads the database, and never changes a line.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from mailer.journal.entries import RecordedEntry, header, line, read_header, read_line
from mailer.models import JournalKind

_BLOCK: Final = 64 * 1024
_SYNC: Final = getattr(os, "fdatasync", os.fsync)
"""Not every system can leave out the time of the last change, which nobody needs."""
_HEADER: Final = 1024
"""The longest first line."""


def path_of(url: URL) -> Path | None:
    """Return where the journal of this database is; None if the database is no ordinary file.

    `mailer.db` has `mailer-journal.jsonl`, and `mailer.sqlite` has `mailer.sqlite.journal.jsonl`: two
    databases in one folder never have the same.
    """
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    database = Path(name)
    if database.suffix == ".db":
        return database.with_name(f"{database.stem}-journal.jsonl")
    return database.with_name(f"{database.name}.journal.jsonl")


class JournalFile:
    """The file, opened and locked, with its last line whole. Made by `opened`.

    Args:
        descriptor: of the open file, in append mode.
        identity: the fingerprint of the identity key, which the first line names.
    """

    def __init__(self, descriptor: int, identity: str) -> None:
        self._descriptor = descriptor
        self._identity = identity
        self.last_id = 0
        """Of the last entry in it; 0 if there is none."""

    def find_last(self) -> int:
        """Find the last entry. Return where the last line that was written to its end ends.

        Raises:
            OSError: the file cannot be read.
        """
        start = os.fstat(self._descriptor).st_size
        tail = b""
        while start > 0 and self.last_id == 0:
            step = min(max(_BLOCK, len(tail)), start)
            start -= step
            tail = os.pread(self._descriptor, step, start) + tail
            # The first line may begin before what was read.
            lines = tail.split(b"\n")[0 if start == 0 else 1 : -1]
            found = (entry for text in reversed(lines) if (entry := read_line(text)) is not None)
            self.last_id = next((entry.id for entry in found), 0)
        return start + tail.rfind(b"\n") + 1

    def remove_cut_line(self) -> None:
        """Remove what follows the last whole line: a line that was not written to its end.

        Raises:
            OSError: the file cannot be read or written.
        """
        end = self.find_last()
        if end < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, end)

    def append(self, chunks: Iterable[Sequence[RecordedEntry]]) -> int:
        """Append these entries, one write for each chunk, and wait until all are on the disk.

        Returns:
            How many there were.

        Raises:
            OSError: the disk is full, or the file cannot be written. Then none of them are in it.
        """
        end = os.fstat(self._descriptor).st_size
        count = 0
        try:
            for entries in chunks:
                first = header(self._identity) if end == 0 and count == 0 else ""
                _write(self._descriptor, (first + "".join(map(line, entries))).encode())
                count += len(entries)
            if count:
                _SYNC(self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, end)
            raise
        return count


@contextmanager
def opened(path: Path, identity: str, beside: Path | None = None) -> Iterator[JournalFile]:
    """Open and lock the file; it is made if it is missing, and one of another installation is moved away.

    Args:
        beside: the database, to whose owner a new file belongs, so that what root types as a command keeps
            nobody else from writing.

    Raises:
        OSError: it cannot be opened or written.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_moved(path, descriptor):
                continue
            owner = read_header(os.pread(descriptor, _HEADER, 0).partition(b"\n")[0])
            if owner not in (None, identity):
                path.rename(path.with_name(f"{path.stem}.{owner[:8]}.jsonl"))
                continue
            journal = JournalFile(descriptor, identity)
            journal.remove_cut_line()
            if journal.last_id == 0:
                _give_to_owner(descriptor, beside)
                _keep_name(path.parent)
            yield journal
            return
        finally:
            os.close(descriptor)


def note_gap(path: Path, identity: str, beside: Path, *, after: int, now: datetime) -> None:
    """Append that from now on something else is used than the database beside the file.

    Args:
        after: the number of the last entry in that database.

    Raises:
        OSError: the file cannot be written.
    """
    with opened(path, identity, beside) as journal:
        number = max(journal.last_id, after) + 1
        journal.append([[RecordedEntry(JournalKind.GAP, now, id=number)]])


def remove_after(path: Path, identity: str, last: int) -> None:
    """Remove what follows the entry with this number, such as `note_gap` has written.

    Raises:
        OSError: the file cannot be written.
    """
    if last_id(path, identity) is None:
        return
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = 0
        for text in file:
            entry = read_line(text)
            if entry is not None and entry.id > last:
                file.truncate(end)
                return
            end += len(text)


def last_id(path: Path, identity: str) -> int | None:
    """Return the number of the last entry in the file; None if there is no file of this installation.

    Raises:
        OSError: it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if read_header(os.pread(descriptor, _HEADER, 0).partition(b"\n")[0]) != identity:
            return None
        journal = JournalFile(descriptor, identity)
        journal.find_last()
        return journal.last_id
    finally:
        os.close(descriptor)


def read(path: Path, identity: str) -> Iterator[RecordedEntry]:
    """Read the entries of the file, in their order; none if it is missing, or of another installation.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        if read_header(file.readline(_HEADER)) != identity:
            return
        for text in file:
            if text.endswith(b"\n") and (entry := read_line(text)) is not None:
                yield entry


def _write(descriptor: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _is_moved(path: Path, descriptor: int) -> bool:
    """Tell whether another process has moved this file away between our opening and locking it."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    then = os.fstat(descriptor)
    return (now.st_dev, now.st_ino) != (then.st_dev, then.st_ino)


def _give_to_owner(descriptor: int, beside: Path | None) -> None:
    if beside is not None and os.geteuid() == 0:
        owner = beside.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _keep_name(folder: Path) -> None:
    """Wait until the folder, with the name of a new file in it, is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
