"""Prints what the demo does: one line for each step, and the reason if one fails."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from mailer.demo.program import CommandFailed

TITLE_WIDTH = 66


class Mismatch(Exception):
    """Something was not as expected; the message has both."""


class StepFailed(Exception):
    """A step failed; its reason has been printed."""


def expect(what: str, seen: object, expected: object) -> None:
    """Compare what was seen with what was expected.

    Raises:
        Mismatch: they differ.
    """
    if seen != expected:
        raise Mismatch(f"expected {what}: {expected!r}\nseen: {seen!r}")


def require(expected: str, holds: bool, seen: object) -> None:
    """Check something that is no plain comparison; `expected` says in words what should hold.

    Raises:
        Mismatch: it does not hold.
    """
    if not holds:
        raise Mismatch(f"expected {expected}\nseen: {seen!r}")


class Checklist:
    """Writes steps and remarks to `out`, each as soon as it is known."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._number = 0
        self._status = ""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print `title`, run the body, and print how it ended and how long it took.

        Raises:
            StepFailed: the body raised `Mismatch` or `CommandFailed`; both are printed.
        """
        self._number += 1
        began = time.monotonic()
        self._write(f"{self._number:3}  {title:<{TITLE_WIDTH}}")
        try:
            yield
        except (Mismatch, CommandFailed) as error:
            self._write(f" FAILED {time.monotonic() - began:6.1f} s\n")
            for line in str(error).splitlines():
                self.say(f"       {line}")
            raise StepFailed from error
        except BaseException:
            self._write("\n")
            raise
        self._write(f"     ok {time.monotonic() - began:6.1f} s\n")

    def say(self, text: str = "") -> None:
        """Print one line, above the status line if there is one."""
        self._clear()
        self._write(text + "\n")
        self._write(self._status)

    def show_status(self, text: str) -> None:
        """Show a line that the next one replaces, or none; it appears on a terminal only."""
        if self._out.isatty() and text != self._status:
            self._clear()
            self._status = text
            self._write(text)

    def _clear(self) -> None:
        if self._status:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
