"""Starts, stops and kills the daemons of the week: `mailer run`, once for each set of roles.

Each calls itself by its own name at the relay, so that it is known who sends.
"""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.simulation.browser import open_page
from tests.simulation.program import PROGRAM, Program, WeekStopped

STOP_SECONDS = 35
"""Within 30 s of SIGTERM a daemon has to be over; the rest is for a busy machine."""


class Daemons:
    """Processes by their names; all of them are over when the block ends.

    Args:
        roles: of each process; none for all of them.
        ports: where the processes with the web role listen, in their order.
    """

    def __init__(
        self, program: Program, roles: Sequence[tuple[str, ...]], ports: Sequence[int]
    ) -> None:
        self._program = program
        self._roles = {f"daemon-{n}.mailer.example": those for n, those in enumerate(roles, 1)}
        webs = [name for name, those in self._roles.items() if not those or "web" in those]
        self._ports = dict(zip(webs, ports, strict=True))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = ExitStack()

    def __enter__(self) -> Self:
        self.start_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_all()
        self._logs.close()

    def start_all(self) -> None:
        """Start all of them, and wait for their web roles."""
        for name in self._roles:
            self.start(name)
        for name in self._ports:
            self._wait_for_the_web(name)

    def kill_all(self) -> None:
        """SIGKILL for all that run, as if the machine were switched off."""
        for name in list(self._running):
            self.kill(name)

    def start(self, name: str) -> None:
        """Start one; its web role may take a moment."""
        others = {"ehlo_name": name}
        if name in self._ports:
            others["port"] = str(self._ports[name])
        log = self._logs.enter_context((self._program.folder / f"{name}.log").open("ab"))
        self._running[name] = subprocess.Popen(
            [sys.executable, str(PROGRAM), "run", *self._roles[name]],
            cwd=self._program.folder,
            env=self._program.environment(**others),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def restart(self, name: str) -> None:
        """Start one that is over again, and wait for its web role where it has one."""
        self.start(name)
        if name in self._ports:
            self._wait_for_the_web(name)

    def ask_to_stop(self, name: str) -> None:
        """SIGTERM."""
        self._running[name].terminate()

    def wait_for_the_end(self, name: str) -> None:
        """Wait until one that was asked to stop has ended.

        Raises:
            WeekStopped: it did not in time, or not well.
        """
        process = self._running[name]
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise WeekStopped(f"{name} did not end within {STOP_SECONDS} s of SIGTERM") from error
        del self._running[name]
        if status != 0:
            raise WeekStopped(f"{name} ended with {status} after SIGTERM; see its log")

    def kill(self, name: str) -> None:
        """SIGKILL; it is over when this returns."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Stop all that run.

        Raises:
            WeekStopped: one of them does not end in time, or not well.
        """
        names = list(self._running)
        for name in names:
            self.ask_to_stop(name)
        for name in names:
            self.wait_for_the_end(name)

    def log(self) -> str:
        """What all of them wrote."""
        paths = sorted(self._program.folder.glob("daemon-*.log"))
        return "".join(path.read_text() for path in paths)

    def _wait_for_the_web(self, name: str) -> None:
        url = f"http://127.0.0.1:{self._ports[name]}/readyz"
        process = self._running[name]

        def is_ready() -> bool:
            if process.poll() is not None:
                raise WeekStopped(f"{name} ended at once, with {process.returncode}; see its log")
            return open_page(url)[0] == 200

        self._program.wait(is_ready, f"the web role of {name}")
