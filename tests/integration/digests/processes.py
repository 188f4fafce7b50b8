"""Starts building processes, and ends them whatever happens."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailer.db import Database
from mailer.failpoint import VARIABLE

_SCRIPT = Path(__file__).with_name("build_process.py")
_ROOT = Path(__file__).parents[3]


class Process:
    """One building process; it waits for `go`."""

    def __init__(
        self,
        database: Database,
        schedule_id: int,
        slots: Sequence[str],
        *,
        lease: float = 60,
        failpoint: str = "",
    ) -> None:
        url = database.url.render_as_string(hide_password=False)
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), url, str(lease), str(schedule_id), *slots],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {VARIABLE: failpoint, "PYTHONPATH": str(_ROOT)},
        )

    def ready(self) -> None:
        """Wait until it could start."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Let it start."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> tuple[int, list[int]]:
        """Wait for its end: its exit status and the digests it named."""
        output, _ = self._process.communicate()
        return self._process.returncode, [int(line) for line in output.split()]

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def together(*processes: Process) -> Iterator[None]:
    """Start these at the same moment."""
    try:
        for process in processes:
            process.ready()
        for process in processes:
            process.go()
        yield
    finally:
        for process in processes:
            process.kill()
