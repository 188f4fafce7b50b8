"""Puts a backup in the place of a database of SQLite.

Everything is done in a file beside it: copy, check, upgrade, journal, fence. Then the content of the database
is replaced in one transaction of SQLite, because a file that is renamed away would go on being used by a
process that waits for it. Never leaves less than a whole database: killed at any moment, the old one or the
new one is there.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, inspect, null, select
from sqlalchemy.exc import DatabaseError

from mailer import schema
from mailer.database_copies.exclusive import exclusive
from mailer.database_copies.files import examine
from mailer.database_copies.files.contents import Contents, NotACopy
from mailer.database_copies.files.new_file import PART, cannot_write, new_file, sync
from mailer.database_copies.restoring.told import (
    Journal,
    Restored,
    bring_up_to_date,
    entries_of,
)
from mailer.db import Database
from mailer.errors import Refused
from mailer.failpoint import reach
from mailer.journal import file as journal_file
from mailer.journal.entries import RecordedEntry
from mailer.models import Installation

_BESIDE: Final = ("-wal", "-shm", "-journal")
"""Files that SQLite has beside a database, and that would be taken for those of the next one."""
_PAGES: Final = 256
_SPARE: Final = 50 << 20


@dataclass(frozen=True)
class _Backup:
    """The backup, in the file in which it is made ready."""

    path: Path
    contents: Contents


def restore(
    database: Database, file: Path, *, fingerprint: str, lease: timedelta, now: datetime
) -> Restored:
    """Put the backup in `file` in the place of this database.

    Raises:
        Refused: the file is no backup, the database is in use, or the disk is full; nothing was changed.
        SettingsError: the backup belongs to another identity key.
        SchemaError: it is of a newer program.
    """
    path = Path(database.url.database or "").absolute()
    examine.check_kind(file, is_sqlite=True)
    if path.exists() and path.samefile(file):
        raise Refused(f"{file} is the database itself; name a backup")
    _check_space(path, file)
    try:
        with _made_ready(path, file, fingerprint=fingerprint, now=now) as backup:
            if _is_usable(database, path):
                return _replace(database, path, file, backup, lease=lease, now=now)
            return _put_in_place(database, path, file, backup, now=now)
    except NotACopy as error:
        raise Refused(f"{file} cannot be restored: {error}; take another backup") from error
    except OSError as error:
        raise Refused(cannot_write(path, error)) from error


@contextmanager
def _made_ready(path: Path, file: Path, *, fingerprint: str, now: datetime) -> Iterator[_Backup]:
    """Copy the backup beside the database, check it and upgrade it; remove the copy at the end.

    Raises:
        NotACopy: it is damaged.
    """
    _remove_left_behind(path)
    made = path.with_name(f"{path.name}-restoring-{os.getpid()}")
    try:
        descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target, file.open("rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)
        # In the copy, because SQLite may have to write even to read, and the backup stays as it is.
        contents = examine.contents_of_sqlite(made)
        examine.check_contents(file, contents, fingerprint=fingerprint, head=schema.head())
        copied = Database(f"sqlite:///{made}")
        try:
            schema.upgrade(copied, fingerprint, now)
        finally:
            copied.dispose()
        yield _Backup(made, contents)
    finally:
        _remove(made)


def _replace(
    database: Database, path: Path, file: Path, backup: _Backup, *, lease: timedelta, now: datetime
) -> Restored:
    """Replace the content of a database that can be opened.

    Raises:
        Refused: another process has it open, or it was moved.
    """
    with exclusive(database, lease=lease, now=now) as connection:
        newer = _newer_entries(connection, path, backup)
        restored = _tell(path, file, backup, newer, now=now)
        kept = _keep(connection, path, now)
        reach("restore.before-swap")
        driver: Any = connection.connection.driver_connection
        with closing(sqlite3.connect(backup.path)) as source:
            source.backup(driver, pages=_PAGES, progress=lambda *_: reach("restore.in-swap"))
        reach("restore.swapped")
    return Restored(**{**vars(restored), "replaced": kept})


def _put_in_place(
    database: Database, path: Path, file: Path, backup: _Backup, *, now: datetime
) -> Restored:
    """Give the new database its name where there is none, or one that nobody can open."""
    database.dispose()
    restored = _tell(path, file, backup, None, now=now)
    kept = None
    if path.exists():
        kept = _free_name(path, now)
        os.link(path, kept)
    for ending in _BESIDE:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(_free_name(path, now, ending) if kept is None else f"{kept}{ending}")
    reach("restore.before-name")
    backup.path.replace(path)
    sync(path.parent)
    return Restored(**{**vars(restored), "replaced": kept})


def _tell(
    path: Path, file: Path, backup: _Backup, newer: list[RecordedEntry] | None, *, now: datetime
) -> Restored:
    """Tell the backup what the journal says, and make it one file that is on the disk.

    Args:
        newer: entries of the database that is replaced, which are not in the copy; None if it cannot be read.
    """
    has_copy = _last_copied(path, backup) is not None
    journal = Journal(copy=has_copy, replaced=newer is not None)
    beside = _journal_of(path)
    copy = journal_file.read(beside, backup.contents.fingerprint) if beside and has_copy else ()
    made = Database(f"sqlite:///{backup.path}")
    try:
        with made.write() as session:
            entries = chain(copy, newer or ())
            made_at, journal, counts = bring_up_to_date(session, entries, journal, now=now)
    finally:
        made.dispose()
    with closing(sqlite3.connect(backup.path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    sync(backup.path)
    return Restored(
        file=file,
        made_at=made_at,
        schema=backup.contents.schema,
        journal=journal,
        counts=counts,
    )


def _newer_entries(
    connection: Connection, path: Path, backup: _Backup
) -> list[RecordedEntry] | None:
    """Read what the journal in the replaced database has more than its copy; None if it cannot be read.

    Raises:
        Refused: everything was moved from that database to another one.
    """
    try:
        with connection.begin():
            moved_to, is_ours = _marks(connection, backup.contents.fingerprint)
            if moved_to is not None:
                raise Refused(
                    f"everything in this database was moved to {moved_to}; set `database_url` to that one"
                )
            after = _last_copied(path, backup) or 0
            return list(entries_of(connection, after=after)) if is_ours else None
    except DatabaseError:
        # It is damaged, and therefore restored.
        return None


def _marks(connection: Connection, fingerprint: str) -> tuple[str | None, bool]:
    """Tell where everything was moved, and whether the database belongs to this identity key."""
    columns = {column["name"] for column in _columns(connection)}
    if "identity_fingerprint" not in columns:
        return None, False
    moved = Installation.moved_to if "moved_to" in columns else null()
    row = connection.execute(select(Installation.identity_fingerprint, moved)).first()
    return (None, False) if row is None else (row[1], row[0] == fingerprint)


def _columns(connection: Connection) -> list[Any]:
    inspector = inspect(connection)
    return inspector.get_columns("installation") if inspector.has_table("installation") else []


def _keep(connection: Connection, path: Path, now: datetime) -> Path:
    """Copy the database that is about to be replaced, and return where."""
    kept = _free_name(path, now)
    # Its file may not be opened in another way: that would end the lock on it.
    driver: Any = connection.connection.driver_connection
    with new_file(kept) as part, closing(sqlite3.connect(part)) as target:
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        driver.backup(target, pages=_PAGES)
    return kept


def _free_name(path: Path, now: datetime, ending: str = "") -> Path:
    name = f"{path.name}-replaced-{now:%Y%m%dT%H%M%SZ}"
    names = chain([name], (f"{name}-{number}" for number in range(2, 1000)))
    return next(
        path.with_name(name + ending)
        for name in names
        if not os.path.lexists(path.with_name(name + ending))
    )


def _is_usable(database: Database, path: Path) -> bool:
    """Tell whether the database exists and can be opened, whatever is in it.

    Raises:
        DatabaseError: it may be sound, but cannot be opened now.
    """
    database.dispose()
    if not path.exists() or path.stat().st_size == 0:
        return False
    try:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except DatabaseError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        return False
    finally:
        database.dispose()
    return True


def _last_copied(path: Path, backup: _Backup) -> int | None:
    """Return the number of the last entry in the journal beside the database; None if there is none."""
    beside = _journal_of(path)
    return None if beside is None else journal_file.last_id(beside, backup.contents.fingerprint)


def _journal_of(path: Path) -> Path | None:
    return journal_file.path_of(URL.create("sqlite", database=str(path)))


def _check_space(path: Path, file: Path) -> None:
    """Check that the disk has room for the new database, the kept one, and the change.

    Raises:
        Refused: it has not.
    """
    try:
        free = shutil.disk_usage(path.parent).free
        needed = file.stat().st_size + 2 * (path.stat().st_size if path.exists() else 0) + _SPARE
    except OSError as error:
        raise Refused(cannot_write(path, error)) from error
    if free < needed:
        raise Refused(
            f"the disk of {path.parent} has {free >> 20:,} MB free, and a restore needs "
            f"{needed >> 20:,} MB: for the backup, the database that is kept, and the change from one to the "
            "other; free some space, and try again"
        )


def _remove_left_behind(path: Path) -> None:
    """Remove what a restore left behind that was killed: it holds everybody's data."""
    restoring = f"{path.name}-restoring-"
    for left in path.parent.glob(f"{restoring}*"):
        pid = left.name.removeprefix(restoring).partition("-")[0].partition(".")[0]
        _remove_of_dead(left, pid)
    for left in path.parent.glob(f".{path.name}-replaced-*{PART}"):
        _remove_of_dead(left, left.name.removesuffix(PART).rpartition(".")[2])


def _remove_of_dead(left: Path, pid: str) -> None:
    if pid.isdigit() and not _lives(int(pid)):
        with suppress(OSError):
            left.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()


def _remove(made: Path) -> None:
    beside = (made.with_name(made.name + ending) for ending in _BESIDE)
    for name in (made, *beside, _journal_of(made)):
        if name is not None:
            with suppress(OSError):
                name.unlink(missing_ok=True)
