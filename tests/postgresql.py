"""A real PostgreSQL for tests: one throw-away cluster in a temporary folder, on a Unix socket.

Works as root (through `runuser -u postgres`, because PostgreSQL refuses to run as root) and as anybody
else. Never touches a cluster that it did not make, except the one that TEST_POSTGRESQL_URL names.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text

VARIABLE = "TEST_POSTGRESQL_URL"
START_SECONDS = 60
STOP_SECONDS = 30

# Durability is not what tests measure, and waiting for the disk is most of what they would do.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "timezone": "UTC",
}

# What a server has unless somebody changes it: for those who measure what a commit costs.
DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "autovacuum": "on",
}

_numbers = count(1)


class NoPostgreSQL(Exception):
    """PostgreSQL is not installed; run: apt-get install postgresql (or set TEST_POSTGRESQL_URL)."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Server:
    """A PostgreSQL server on which tests may make databases."""

    def __init__(self, admin: URL) -> None:
        self._admin = admin
        self._prefix = f"test_{os.getpid()}"

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy of `template`; its URL."""
        name = f"{self._prefix}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self._admin.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database that `create` made, whoever is still connected to it."""
        self._run(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        engine = create_engine(self._admin, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """The server that TEST_POSTGRESQL_URL names, or a cluster of our own that ends with the block.

    Args:
        durable: a cluster of our own keeps its files on the disk and waits for it at each commit.

    Raises:
        NoPostgreSQL: there is none; the tests fail rather than leave an engine out.
    """
    if url := os.environ.get(VARIABLE):
        yield Server(make_url(url))
        return
    binaries = _binaries()
    place = Path(tempfile.mkdtemp(prefix="mailer-pg-", dir=None if durable else _fast_folder()))
    guard = subprocess.Popen([sys.executable, __file__, str(place)], stdin=subprocess.PIPE)
    try:
        prefix = _as_ordinary_user(place)
        data = place / "data"
        _call([*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "mailer", "-A", "trust",
               "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])  # fmt: skip
        settings = SETTINGS | (DURABLE if durable else {})
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        _call([*prefix, str(binaries / "pg_ctl"), "start", "-w", "-D", str(data),
               "-l", str(place / "log"), "-o", f"-k {place} {options}"])  # fmt: skip
        yield Server(URL.create("postgresql", "mailer", database="postgres",
                                query={"host": str(place)}))  # fmt: skip
    finally:
        guard.communicate()


def _guard(place: Path) -> None:
    """End the cluster in `place` when the process that started this one closes our input, or dies.

    Fixtures are not torn down where the tests are killed, and a server would stay for ever.
    """
    # Ctrl-C goes to the whole group of processes; ours has to live until the tests have ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    _stop(place / "data")
    shutil.rmtree(place, ignore_errors=True)


def _binaries() -> Path:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not versions:
        raise NoPostgreSQL
    return max(versions, key=lambda path: int(path.parent.name))


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _as_ordinary_user(place: Path) -> list[str]:
    """What goes before a command so that it does not run as root; `place` is made writable to it."""
    if os.geteuid() != 0:
        return []
    shutil.chown(place, "postgres", "postgres")
    return ["runuser", "-u", "postgres", "--"]


def _call(command: list[str]) -> None:
    # Output goes to a file: the server inherits it, and a pipe would never come to its end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{command} failed:\n{output.read().decode(errors='replace')}")


def _stop(data: Path) -> None:
    """End the server of this folder, by the process id that it wrote there."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGINT)
    except (FileNotFoundError, ProcessLookupError):
        return
    deadline = time.monotonic() + STOP_SECONDS
    while (data / "postmaster.pid").exists():
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGQUIT)
            return
        time.sleep(0.01)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
