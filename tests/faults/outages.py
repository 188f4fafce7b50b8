"""Takes the database away while a relay holds a mail, and checks what the sender says to the relay then."""

import itertools
import time
from collections.abc import Callable

from tests.faults.relays import Relay
from tests.faults.run import Run
from tests.support.receiver import fine
from tests.support.waiting import wait_until

GONE = "the database cannot be used"
"""What a worker logs, once for each outage."""


class Outage:
    """Takes the database away after a final dot has come and before it is answered.

    Args:
        mails: at which mail.
        act: returns when the database is gone.
    """

    def __init__(self, mails: int, act: Callable[[], object]) -> None:
        self._mails = mails
        self._act = act
        self._dots = itertools.count(1)
        self.since: float | None = None

    def says(self, verb: str, argument: str) -> str:
        """What the relay answers."""
        if verb == "DOT" and next(self._dots) == self._mails:
            self._act()
            self.since = time.monotonic()
        return fine(verb, argument)


def starts_nothing_more(
    run: Run,
    there: Relay,
    outage: Outage,
    connections: int,
    seconds: float,
    *,
    at_once: bool = True,
) -> None:
    """While nothing can be recorded, no final dot comes but those that were on their way.

    Args:
        at_once: nothing can be recorded as soon as the outage begins. On a full disk a commit still goes
            through where it fits into what SQLite's log has no more need of: there it must end soon.
    """

    def came(verb: str) -> int:
        return sum(
            one == verb and outage.since is not None and at > outage.since
            for one, at in list(there.commands_at)
        )

    def last(verb: str) -> float:
        return max(at for one, at in list(there.commands_at) if one == verb)

    wait_until(lambda: outage.since is not None and GONE in run.log.read_text())
    if not at_once:
        wait_until(lambda: time.monotonic() - last("DOT") > seconds)
        return
    told_at = time.monotonic()
    dots = came("DOT")
    wait_until(lambda: time.monotonic() - told_at > seconds)
    assert came("DOT") == dots <= connections - 1
    # Each connection may have begun a mail that gets no final dot, and is never taken.
    assert came("DATA") <= connections
