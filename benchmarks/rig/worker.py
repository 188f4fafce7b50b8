"""A `mailer run worker` in a process of its own, which shares no interpreter with the measuring process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rig.digest import KEYS
from mailer.db import Database
from tests.support.processes import working


@contextmanager
def sending(
    database: Database, relay: int, folder: Path, *, connections: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker that sends to this port over connections that stay open; killed at the end.

    When what was waited for did not come, its log is shown.
    """
    log = folder / "log"
    with working(
        database,
        KEYS,
        relay,
        log,
        smtp_connections=str(connections),
        smtp_messages_per_connection="1000000",
        lease="60s",
    ) as process:
        try:
            yield process
        except TimeoutError:
            print(log.read_text(), file=sys.stderr)
            raise
