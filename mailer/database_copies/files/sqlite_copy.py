"""Copies a database of SQLite into one file while others go on writing, and checks such a file.

Never changes the database that is copied, and never keeps others from writing.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

from mailer.database_copies.files.contents import (
    Contents,
    IsStopping,
    NotACopy,
    OnProgress,
    Stopped,
)
from mailer.db.engine import BUSY_TIMEOUT_SECONDS
from mailer.errors import Refused
from mailer.text.untrusted import printable_line

_PAGES: Final = 256
"""At most a megabyte, where a page has 4096 bytes."""
_REST_SECONDS: Final = 0.005
"""After each of these steps, so that those who send find the disk free."""
_STEPS_TO_SYNC: Final = 32
"""After so many steps what was written is sent to the disk: a long wait at the end could not be ended."""
_INSTRUCTIONS: Final = 100_000
_LONGEST_ANSWER: Final = 200


def copy(source: Path, target: Path, on_progress: OnProgress, is_stopping: IsStopping) -> Contents:
    """Copy `source` as it is at this moment into `target`, an empty file. Return what it holds.

    Raises:
        Stopped: `is_stopping` said so.
        NotACopy: the source is damaged, or not a database of the mailer.
        Refused: the disk is full, or the source cannot be read.
    """
    with (
        _explained(source, target),
        closing(_connect(source)) as reader,
        closing(_connect(target)) as writer,
    ):
        writer.execute("PRAGMA journal_mode = OFF")
        writer.execute("PRAGMA synchronous = OFF")
        # All steps copy what this transaction sees: otherwise each write of others would begin them anew.
        reader.execute("BEGIN")
        contents = read_contents(reader)
        descriptor = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _copy_pages(reader, writer, descriptor, on_progress, is_stopping)
        finally:
            os.close(descriptor)
        reader.execute("ROLLBACK")
        # The pages say WAL mode, in which a database is more than one file.
        writer.execute("PRAGMA journal_mode = DELETE")
    return contents


def check(path: Path, is_stopping: IsStopping, *, thoroughly: bool) -> Contents:
    """Check that the file is a sound database of the mailer, and return what it holds.

    Args:
        thoroughly: also that every index has what its table has, which takes longer.

    Raises:
        Stopped: `is_stopping` said so.
        NotACopy: it is none; the message says why.
    """
    with closing(_connect(path, read_only=True)) as connection:
        connection.set_progress_handler(lambda: int(is_stopping()), _INSTRUCTIONS)
        pragma = "integrity_check" if thoroughly else "quick_check"
        try:
            answer = connection.execute(f"PRAGMA {pragma}(1)").fetchone()[0]
            if answer != "ok":
                raise NotACopy(f"it is damaged: {printable_line(answer, _LONGEST_ANSWER)}")
            return read_contents(connection)
        except sqlite3.Error as error:
            if is_stopping():
                raise Stopped from error
            raise NotACopy(str(error)) from error


def read_contents(connection: sqlite3.Connection) -> Contents:
    """Read what the database of this connection holds.

    Raises:
        NotACopy: it lacks what every database of the mailer has.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if missing := {"alembic_version", "installation", "subscriber", "digest"} - names:
        raise NotACopy(f"it is not a database of the mailer: it has no table {min(missing)}")

    def one(statement: str) -> Any:
        row = connection.execute(statement).fetchone()
        return None if row is None else row[0]

    has_journal = "journal_entry" in names
    return Contents(
        schema=str(one("SELECT version_num FROM alembic_version") or ""),
        fingerprint=str(one("SELECT identity_fingerprint FROM installation") or ""),
        subscribers=one("SELECT count(*) FROM subscriber"),
        digests=one("SELECT count(*) FROM digest"),
        last_entry=(one("SELECT max(id) FROM journal_entry") or 0) if has_journal else 0,
    )


def _copy_pages(
    reader: sqlite3.Connection,
    writer: sqlite3.Connection,
    descriptor: int,
    on_progress: OnProgress,
    is_stopping: IsStopping,
) -> None:
    size = reader.execute("PRAGMA page_size").fetchone()[0]
    rest, steps = Event(), 0

    def after_step(_status: int, remaining: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if is_stopping():
            raise Stopped
        if steps % _STEPS_TO_SYNC == 0:
            os.fsync(descriptor)
        on_progress((total - remaining) * size, total * size)
        if remaining:
            rest.wait(_REST_SECONDS)

    reader.backup(writer, pages=_PAGES, progress=after_step)


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        # The thread that copies opens and closes it, but Python cannot know.
        check_same_thread=False,
    )


@contextmanager
def _explained(source: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise Refused(
                f"the disk is full, so {target.parent} has no room for a copy; free some space there"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise NotACopy(str(error)) from error
        raise Refused(f"{source.name} cannot be copied ({error}); try again") from error
