"""Defines what a copy of the whole database says of itself, and how making one is followed and ended. Pure.

Never opens a file.
"""

from collections.abc import Callable
from dataclasses import dataclass

OnProgress = Callable[[int, int | None], None]
"""Called with how many bytes are done, and how many there are, if that is known."""
IsStopping = Callable[[], bool]
"""Tells whether the copy is to be given up."""


class Stopped(Exception):
    """The copy was given up because it was asked for; nothing of it stays."""


class NotACopy(Exception):
    """The file is not a copy of a database of the mailer, or a damaged one; the message says why."""


@dataclass(frozen=True)
class Contents:
    """What a database of the mailer holds, as far as a copy is compared by it.

    Attributes:
        schema: its number; "" if there is none.
        fingerprint: of its identity key; "" if there is none.
        last_entry: the number of the last entry in its journal.
    """

    schema: str
    fingerprint: str
    subscribers: int = 0
    digests: int = 0
    last_entry: int = 0
