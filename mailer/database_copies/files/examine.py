"""Finds out what a file is that is to be restored, before anything is changed.

Never writes. The errors say what else the file may be, and what to do then.
"""

from pathlib import Path
from typing import Final

from mailer.database_copies.files import postgresql_tools, sqlite_copy
from mailer.database_copies.files.contents import Contents, NotACopy
from mailer.errors import Refused, SchemaError, SettingsError

_SQLITE: Final = b"SQLite format 3\0"
_POSTGRESQL: Final = b"PGDMP"
_PACKED: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_ENCRYPTED: Final = (b"age-encryption.org/", b"-----BEGIN PGP", b"-----BEGIN AGE", b"Salted__")


def check_kind(path: Path, *, is_sqlite: bool) -> None:
    """Check that the file looks like a backup of this engine.

    Args:
        is_sqlite: whether the database that it is for is SQLite; otherwise it is PostgreSQL.

    Raises:
        Refused: it is something else, or cannot be read.
    """
    start = _start_of(path)
    if start.startswith(_SQLITE):
        if not is_sqlite:
            raise Refused(
                f"{path} is a backup of SQLite, and `database_url` names PostgreSQL; restore it with a "
                "`database_url` of SQLite, then `mailer db move --to` takes everything to PostgreSQL"
            )
        if _size(path.with_name(f"{path.name}-wal")):
            raise Refused(
                f"{path} has {path.name}-wal beside it, so it is a database in use and no backup; "
                "`mailer db backup` makes one"
            )
        return
    if start.startswith(_POSTGRESQL):
        if is_sqlite:
            raise Refused(
                f"{path} is a backup of PostgreSQL, and `database_url` names SQLite; set `database_url` to a "
                "database of PostgreSQL"
            )
        return
    raise Refused(f"{path} is not a backup: {_what_else(start)}")


def contents_of_dump(path: Path, schema: str) -> Contents:
    """Read what a dump of PostgreSQL says of itself.

    Args:
        schema: in which the tables of the database are.

    Raises:
        NotACopy: it is damaged, or not a dump of the mailer.
    """
    tables = postgresql_tools.tables(path)
    if missing := {"alembic_version", "installation", "subscriber"} - set(tables):
        raise NotACopy(f"it is not a database of the mailer: it has no table {min(missing)}")
    if other := set(tables.values()) - {schema}:
        raise NotACopy(
            f"its tables are in the schema {min(other)}, those of the database in {schema}"
        )
    version = postgresql_tools.rows(path, "alembic_version")
    installation = postgresql_tools.rows(path, "installation")
    if not version or not installation:
        raise NotACopy("it has lost its installation row")
    return Contents(
        schema=version[0]["version_num"] or "",
        fingerprint=installation[0]["identity_fingerprint"] or "",
    )


def contents_of_sqlite(path: Path) -> Contents:
    """Check a database of SQLite thoroughly, and return what it holds.

    Raises:
        NotACopy: it is damaged, or not a database of the mailer.
    """
    return sqlite_copy.check(path, lambda: False, thoroughly=True)


def check_contents(path: Path, contents: Contents, *, fingerprint: str, head: str) -> None:
    """Check that this installation and this version of the program can use the backup.

    Args:
        fingerprint: of the identity key in the settings.
        head: the newest schema that this program knows.

    Raises:
        SettingsError: it belongs to another identity key.
        SchemaError: it is of a newer program.
    """
    if contents.fingerprint != fingerprint:
        raise SettingsError(
            f"{path} belongs to another identity_key than the one in the settings; put back the mailer.toml "
            "that was in use when the backup was made, and try again"
        )
    if contents.schema > head:
        raise SchemaError(
            f"{path} has schema {contents.schema} of a newer mailer, this one knows {head}; "
            "install the newer one, and try again"
        )


def _start_of(path: Path) -> bytes:
    """Read the first bytes of the file.

    Raises:
        Refused: it cannot be read.
    """
    try:
        if not path.is_file():
            reason = "is not a file" if path.exists() else "does not exist"
            raise Refused(f"{path} {reason}; check its name")
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}); change its permissions, or run this as its owner"
        ) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _what_else(start: bytes) -> str:
    if not start:
        return "it is empty; take another one"
    for magic, program in _PACKED.items():
        if start.startswith(magic):
            return f"it is packed by {program}; unpack it first"
    if start.startswith(_ENCRYPTED):
        return "it is encrypted; decrypt it first"
    return (
        "it is neither a database of SQLite nor a dump of pg_dump -Fc; if it is encrypted, decrypt it first, "
        "otherwise take another one"
    )
