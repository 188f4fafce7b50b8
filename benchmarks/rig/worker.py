"""A `mailer run worker` in a process of its own, which shares no interpreter with the measuring process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rig import sampled
from benchmarks.rig.digest import KEYS
from mailer.db import Database
from mailer.message.dkim_keys import KeyType
from mailer.settings import key_files
from tests.support.processes import working

STOP_SECONDS = 35


@contextmanager
def sending(
    database: Database,
    relay: int,
    folder: Path,
    *,
    connections: int,
    profile: Path | None = None,
    dkim: bool = False,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker that sends to this port over connections that stay open; killed at the end.

    When what was waited for did not come, its log is shown.

    Args:
        dkim: whether it signs, with a new RSA key.
        profile: where a report is written at the end of where its threads spent their time.
    """
    log = folder / "log"
    program = ("-m", "mailer") if profile is None else (sampled.__file__, str(profile))
    with working(
        database,
        KEYS,
        relay,
        log,
        program=program,
        smtp_connections=str(connections),
        smtp_messages_per_connection="1000000",
        lease="60s",
        **(_signing(folder / "dkim.pem") if dkim else {}),
    ) as process:
        try:
            yield process
            if profile is not None:
                os.kill(process.pid, signal.SIGTERM)
                process.wait(STOP_SECONDS)
        except TimeoutError:
            print(log.read_text(), file=sys.stderr)
            raise


def _signing(path: Path) -> dict[str, str]:
    path.unlink(missing_ok=True)
    key_files.write(path, key_files.new_key(KeyType.RSA))
    return {"dkim_key": str(path), "dkim_selector": "rsa", "dkim_domain": "news.example"}
