"""Starts workers and receivers as processes of their own, which a test may kill."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from mailer.db import Database
from mailer.tokens import Keys

ROOT = Path(__file__).parents[2]


@contextmanager
def receiving(path: Path, *, delay: float = 0.0, kind: str = "plain") -> Iterator[int]:
    """`tests/support/receiver.py` as a process that writes what it accepts to `path`; yields its port."""
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "tests" / "support" / "receiver.py"),
            "0",
            str(path),
            str(delay),
            kind,
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def accepted(path: Path) -> list[dict[str, Any]]:
    """What the receiver with this file has accepted; a line that is being written does not count."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def has_more(path: Path, than: int) -> bool:
    """Whether the receiver with this file has accepted more mails than so many."""
    return len(accepted(path)) > than


def is_up(port: int) -> bool:
    """Whether a web role answers on this port of loopback."""
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def environment(
    database: Database, keys: Keys, port: int, settings: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a `mailer` process for this database and this relay."""
    own = {
        "MAILER_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "MAILER_SECRET_KEY": keys.secrets[0].decode(),
        "MAILER_IDENTITY_KEY": keys.identity.decode(),
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "MAILER_EHLO_NAME": "news.example",
        "MAILER_SMTP_CONNECTIONS": "4",
        "MAILER_LEASE": "2s",
        "MAILER_LOG_LEVEL": "warning",
        **{f"MAILER_{name.upper()}": value for name, value in settings.items()},
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("MAILER_")}
    return others | own


def start_mailer(
    database: Database,
    keys: Keys,
    port: int,
    log: Path,
    /,
    *roles: str,
    program: Sequence[str] = ("-m", "mailer"),
    **settings: str,
) -> subprocess.Popen[bytes]:
    """`mailer run` of these roles in a session of its own, its log appended to `log`.

    Args:
        program: what Python runs instead of the mailer.
        settings: more settings, such as `failpoint="worker.after-dot:3"`.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, *program, "run", *roles],
            cwd=log.parent,
            env=environment(database, keys, port, settings) | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def start_worker(
    database: Database,
    keys: Keys,
    port: int,
    log: Path,
    /,
    *,
    program: Sequence[str] = ("-m", "mailer"),
    **settings: str,
) -> subprocess.Popen[bytes]:
    """As `start_mailer`, for a worker."""
    return start_mailer(database, keys, port, log, "worker", program=program, **settings)


@contextmanager
def killed_in_the_end(
    process: subprocess.Popen[bytes],
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end if it still runs."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def working(
    database: Database,
    keys: Keys,
    port: int,
    log: Path,
    /,
    *,
    program: Sequence[str] = ("-m", "mailer"),
    **settings: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that is killed at the end if it still runs."""
    worker = start_worker(database, keys, port, log, program=program, **settings)
    with killed_in_the_end(worker) as process:
        yield process
