"""Defines what the reader and its child process exchange besides documents: limits and failures."""

from dataclasses import dataclass
from typing import Final

OUT_OF_MEMORY: Final = 3
"""The exit status of a child that reached its memory limit."""


@dataclass(frozen=True)
class ChildLimits:
    """What reading one document may take.

    Args:
        seconds: time by the clock.
        memory: bytes of address space beyond what the idle child has.
        answer: bytes of what was read; short addresses on a long base grow to many times the document.
        idle_seconds: how long a child waits for the next document before it is ended.
    """

    cpu_seconds: int = 10
    seconds: float = 60.0
    memory: int = 400_000_000
    answer: int = 20_000_000
    idle_seconds: float = 60.0


@dataclass(frozen=True)
class ChildFailure:
    """The child's answer if our own code failed at a document."""

    traceback: str
