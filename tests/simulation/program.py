"""Types commands of the mailer, and sets the clock that all of its processes go by.

Nothing here imports the mailer, or knows what newspapers there are.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "simulation" / "mailer_on_clock.py"
WAIT_SECONDS = 120


class WeekStopped(Exception):
    """The week cannot go on: a command failed, or what had to happen did not."""


class Shell:
    """Runs each command in a process of its own, which has the program loaded already.

    Args:
        environment: of the commands; it is not read before the first of them.
    """

    def __init__(self, folder: Path, environment: Callable[[], dict[str, str]]) -> None:
        self._folder, self._environment = folder, environment
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> str:
        """What a command prints.

        Raises:
            WeekStopped: it failed.
        """
        with self._lock:
            process = self._process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(arguments) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        if answer["status"] != 0:
            raise WeekStopped(f"mailer {' '.join(arguments)}: {answer['out']}{answer['err']}")
        return str(answer["out"])

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), "--each"],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


class Clock:
    """The wall clock of all processes that read `file`."""

    def __init__(self, file: Path, begins: datetime) -> None:
        self.file = file
        self._set(begins)

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self._ahead, UTC)

    def go_to(self, instant: datetime) -> None:
        """Set it forward.

        Raises:
            WeekStopped: it is later than that already, because the machine is too slow for the story.
        """
        if self.now() >= instant:
            raise WeekStopped(f"it is past {instant:%a %H:%M} UTC already; the machine is too busy")
        self._set(instant)

    def _set(self, instant: datetime) -> None:
        self._ahead = instant.timestamp() - time.time()
        draft = self.file.with_suffix(".draft")
        draft.write_text(repr(self._ahead))
        # A process that reads it meanwhile finds the old or the new one, never half of it.
        draft.replace(self.file)


class Program:
    """A folder with settings and a database, in which commands are typed."""

    def __init__(self, folder: Path, settings: Mapping[str, str], clock: Clock) -> None:
        self.folder, self.settings, self.clock = folder, settings, clock
        self.shell = Shell(folder, self.environment)

    def configure(self, **settings: str) -> None:
        """Change settings, for commands and for what is started from now on."""
        self.settings = {**self.settings, **settings}
        self.shell.close()
        self.shell = Shell(self.folder, self.environment)

    @property
    def base(self) -> str:
        return self.settings["base_url"]

    def environment(self, **others: str) -> dict[str, str]:
        """Of a process: the settings, with others beside or instead of them."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILER_")}
        settings = {**self.settings, **others}
        own = {f"MAILER_{name.upper()}": text for name, text in settings.items()}
        return kept | own | {"CLOCK": str(self.clock.file), "PYTHONPATH": str(ROOT)}

    def type(self, *arguments: str) -> str:
        """Type a command, and return what it printed.

        Raises:
            WeekStopped: it failed.
        """
        return self.shell.run(*arguments)

    def ask(self, *arguments: str) -> Any:
        """Type a command with --json, and return the document that it printed.

        Raises:
            WeekStopped: it failed.
        """
        return json.loads(self.type(*arguments, "--json"))

    def wait(self, true: Callable[[], object], what: str, every: float = 0.05) -> None:
        """Return as soon as `true()` is.

        Raises:
            WeekStopped: it is not for too long.
        """
        end = time.monotonic() + WAIT_SECONDS
        while not true():
            if time.monotonic() > end:
                raise WeekStopped(f"waited for {what} for {WAIT_SECONDS} s")
            time.sleep(every)
