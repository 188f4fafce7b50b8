"""Uses the real program as staff do: types commands in a folder, and starts and ends `mailer run`.

Each command is a process of its own; nothing of it is imported. If it is refused, the error has the
words that it printed.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMMAND_SECONDS = 60
DRAIN_SECONDS = 30
"""How long `mailer run` may take to end after SIGTERM, as it promises."""


class CommandFailed(Exception):
    """A command ended with another exit status than 0; the message has what it printed."""


class Program:
    """One installation of the mailer in `folder`.

    Args:
        folder: an empty folder, for the settings, the database and the log.
        database_url: another database than a file in the folder.
    """

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.typed: list[str] = []
        self.log_file = folder / "run.log"
        # The demo must not touch an installation that the user's environment points to.
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MAILER_")
        }
        if database_url is not None:
            self._environment["MAILER_DATABASE_URL"] = database_url
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> str:
        """Type one command and return what it printed for machines (stdout).

        Raises:
            CommandFailed: its exit status was not 0.
        """
        self.typed.append(shlex.join(("mailer", *arguments)))
        ended = subprocess.run(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", "mailer", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if ended.returncode != 0:
            said = (ended.stderr.strip() or ended.stdout.strip() or "nothing was printed")[-2000:]
            raise CommandFailed(f"{self.typed[-1]}\nexit status {ended.returncode}: {said}")
        return ended.stdout

    def ask(self, *arguments: str) -> Any:
        """Type one command with `--json` and return the document it printed.

        Raises:
            CommandFailed: its exit status was not 0, or it printed no JSON.
        """
        output = self.run(*arguments, "--json")
        try:
            return json.loads(output)
        except ValueError as error:
            raise CommandFailed(f"{self.typed[-1]}\nprinted no JSON: {output[:300]!r}") from error

    def set(self, settings: Mapping[str, str | int]) -> None:
        """Write `settings` at the head of mailer.toml, where `mailer init` has put the keys."""
        path = self.folder / "mailer.toml"
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        kept = [
            line
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.partition("=")[0].strip() not in settings
        ]
        path.write_text(lines + "".join(kept), encoding="utf-8")

    def start(self) -> None:
        """Start `mailer run`: web, scheduler and worker in one process."""
        self.typed.append("mailer run")
        with self.log_file.open("ab") as log:
            # A session of its own keeps the terminal's Ctrl-C from it: the demo ends it, in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mailer", "run"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """How `mailer run` ended, or None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> tuple[int | None, float]:
        """End `mailer run` with SIGTERM, and wait for it.

        Returns:
            its exit status and how many seconds it took. If it does not end it is killed, and the
            status is -9; None if it was not running.
        """
        process, self._process = self._process, None
        if process is None:
            return None, 0.0
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also if the user presses Ctrl-C twice: nothing of the demo may outlive it.
            if process.poll() is None:
                process.kill()
                process.wait()
        return process.returncode, time.monotonic() - began

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines that `mailer run` wrote."""
        if not self.log_file.exists():
            return ""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])
