"""Runs PostgreSQL's own programs for backups: pg_dump and pg_restore.

No shell is involved, and a password is in no argument, where other users could read it. Output is read by
this process, so that a program whose reader was killed ends too. Never opens a connection of its own.
"""

import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import Engine

from mailer.database_copies.files.contents import IsStopping, NotACopy, OnProgress, Stopped
from mailer.errors import Refused
from mailer.text.untrusted import printable_line

_BLOCK: Final = 1 << 20
_BYTES_TO_SYNC: Final = 32 << 20
_LOOK_MILLISECONDS: Final = 100
_LONGEST_ERROR: Final = 300
_VERSION: Final = re.compile(r"\(PostgreSQL\) ([0-9]{1,4})")
_TABLE: Final = re.compile(
    r"^[0-9]{1,20}; [0-9]{1,20} [0-9]{1,20} TABLE (?!DATA )([^ ]+) ([^ ]+)(?: |$)"
)


@dataclass(frozen=True)
class Tools:
    """How the programs reach one database, and in which environment."""

    conninfo: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, engine: Engine) -> "Tools":
        """Make them for the database of `engine`."""
        # Its driver is not installed everywhere.
        from psycopg.conninfo import make_conninfo

        _, parameters = engine.dialect.create_connect_args(engine.url)
        password = parameters.pop("password", None)
        known = {name: value for name, value in parameters.items() if name != "context"}
        # Errors are in English, as all messages are.
        environment = {**os.environ, "LC_ALL": "C", "PGAPPNAME": "mailer"}
        if password is not None:
            environment["PGPASSWORD"] = str(password)
        return cls(make_conninfo("", **known), environment)


def version(program: str) -> int:
    """Return the major version of this program of PostgreSQL.

    Raises:
        Refused: it is not installed.
    """
    path = shutil.which(program)
    if path is None:
        raise Refused(
            f"{program} is not installed; install PostgreSQL's client programs, "
            "on Debian with `apt-get install postgresql-client`"
        )
    ended = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = _VERSION.search(ended.stdout)
    if match is None:
        raise Refused(f"{program} does not tell its version; install PostgreSQL's client programs")
    return int(match[1])


def check_version(program: str, server: int) -> None:
    """Check that the program is not older than the server, whose major version is `server`.

    Raises:
        Refused: it is, or it is not installed.
    """
    own = version(program)
    if own < server:
        raise Refused(
            f"{program} is of PostgreSQL {own}, and the server is {server}; install the client programs "
            f"of {server}, on Debian `apt-get install postgresql-client-{server}` (from apt.postgresql.org "
            "if Debian has none), and put them first in PATH"
        )


def dump(
    tools: Tools,
    schema: str,
    target: Path,
    on_progress: OnProgress,
    is_stopping: IsStopping,
) -> None:
    """Dump all tables of this schema, as they are at one moment, into `target`.

    Raises:
        Stopped: `is_stopping` said so.
        Refused: pg_dump failed; the message has its reason.
        OSError: the file cannot be written.
    """
    command = [
        "pg_dump",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        # The schema of the journal's copy is another one. No statement about a schema is in the dump.
        f"--table={_quoted(schema)}.*",
        f"--dbname={tools.conninfo}",
    ]
    with target.open("wb") as file:
        count, synced = 0, 0
        for block in _output(command, tools, is_stopping):
            file.write(block)
            count += len(block)
            if count - synced >= _BYTES_TO_SYNC:
                file.flush()
                os.fsync(file.fileno())
                synced = count
            on_progress(count, None)


def tables(path: Path) -> dict[str, str]:
    """Read a dump's table of contents: its tables, and the schema of each.

    Raises:
        NotACopy: pg_restore cannot read it.
        Refused: pg_restore is not installed.
    """
    version("pg_restore")
    text = _all_output(["pg_restore", "--list", str(path)])
    return {match[2]: match[1] for match in map(_TABLE.match, text.splitlines()) if match}


def check_whole(path: Path, is_stopping: IsStopping) -> None:
    """Read a dump to its end.

    Raises:
        NotACopy: it is damaged or cut.
        Stopped: `is_stopping` said so.
    """
    command = ["pg_restore", "--file=-", str(path)]
    try:
        for _ in _output(command, None, is_stopping):
            pass
    except Refused as error:
        raise NotACopy(str(error)) from error


def rows(path: Path, table: str) -> list[dict[str, str | None]]:
    """Read the few rows of a small table from a dump, as text in which escapes stay.

    Raises:
        NotACopy: the dump is damaged.
    """
    text = _all_output(["pg_restore", "--data-only", f"--table={table}", "--file=-", str(path)])
    lines = iter(text.splitlines())
    for line in lines:
        match = re.match(r"COPY [^(]*\(([^)]*)\) FROM stdin;", line)
        if match:
            names = [name.strip().strip('"') for name in match[1].split(",")]
            return [
                dict(zip(names, map(_value, row.split("\t")), strict=False))
                for row in _until_end(lines)
            ]
    return []


def restore(tools: Tools, path: Path, is_stopping: IsStopping) -> None:
    """Replace the tables that are in the dump by those of the dump, all of them or none.

    Raises:
        Stopped: `is_stopping` said so; nothing was changed.
        Refused: it failed, and nothing was changed.
    """
    command = [
        "pg_restore",
        "--single-transaction",
        "--exit-on-error",
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        f"--dbname={tools.conninfo}",
        str(path),
    ]
    for _ in _output(command, tools, is_stopping):
        pass


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == "\\.":
            return
        yield line


def _value(text: str) -> str | None:
    return None if text == "\\N" else text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _all_output(command: list[str]) -> str:
    try:
        return b"".join(_output(command, None, lambda: False)).decode("utf-8", "replace")
    except Refused as error:
        raise NotACopy(str(error)) from error


def _output(command: list[str], tools: Tools | None, is_stopping: IsStopping) -> Iterator[bytes]:
    """Run a program and yield what it writes.

    Raises:
        Stopped: `is_stopping` said so; the program was ended.
        Refused: it failed; the message has the reason that it gave.
    """
    environment = None if tools is None else dict(tools.environment)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, tempfile.TemporaryFile() as errors:
        process = _start(command, writing, errors, environment)
        try:
            yield from _blocks(pipe.fileno(), is_stopping)
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status != 0:
            errors.seek(0)
            raise Refused(_reason(command[0], errors.read(1 << 16).decode("utf-8", "replace")))


def _start(
    command: list[str], output: int, errors: IO[bytes], environment: dict[str, str] | None
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603
            [shutil.which(command[0]) or command[0], *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment,
            # Ctrl-C reaches this process alone, which ends the program.
            start_new_session=True,
        )
    finally:
        os.close(output)


def _blocks(descriptor: int, is_stopping: IsStopping) -> Iterator[bytes]:
    """Yield what comes, and look now and then whether to stop: a program may wait for a lock.

    Raises:
        Stopped: `is_stopping` said so.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        if is_stopping():
            raise Stopped
        if poll.poll(_LOOK_MILLISECONDS):
            block = os.read(descriptor, _BLOCK)
            if not block:
                return
            yield block


def _reason(program: str, errors: str) -> str:
    lines = [line for line in errors.splitlines() if "error" in line.lower()]
    line: Any = (lines or errors.splitlines() or ["no reason given"])[0]
    line = line.removeprefix(f"{program}: ").removeprefix("error: ")
    return f"{program} failed: {printable_line(line, _LONGEST_ERROR)}"
