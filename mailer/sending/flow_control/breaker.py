"""Decides that a digest must be paused, because too much of it is refused or ends in doubt.

Pure: the clock comes in as an argument. It counts and decides; others pause.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from mailer.ledger.digest_state import Pause
from mailer.sending.smtp.verdict import UNSUPPORTED_EAI, OnDelivery, OnReader, OnRun, Verdict
from mailer.text.untrusted import redact

REFUSED_TOO_MANY: Final = "the relay refused"
"""How the reason of a pause begins if it is about refusals, and not about mails in doubt."""

DOUBTFUL_TIMES: Final = 6
"""After a failure the relay is tried with one mail at a time and doubling pauses: to end in doubt six times
takes half a minute, twenty times would take an hour."""

AT_ONCE_SECONDS: Final = 0.5
"""A mail that ends in doubt so soon after the last one does so for the same cause."""

FEW_AT_FIRST: Final = 3
"""A digest whose first mails are all refused, up to so many, may have begun with bad addresses."""

FEW: Final = 7
"""So many refusals in a row happen in a list of which one address in twenty is bad: eight do so once in
25 billion mails."""

REFUSED: Final = 20
WINDOW: Final = 100
"""Twenty refusals among the last hundred attempts: with one bad address in twenty the chance is one in
ten million; with one in three, sixty mails are enough."""

_DIGESTS_KEPT: Final = 100


@dataclass
class _Window:
    """How the last attempts of one digest ended."""

    doubts: int = 0
    doubtful_times: int = 0
    last_doubt_at: float = -math.inf
    refusals: int = 0
    was_accepted: bool = False
    refused: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, verdict: Verdict, connections: int, now: float) -> str | None:
        """Note how one more attempt ended. Return what is too much, if it is."""
        if verdict.delivery is OnDelivery.DOUBT:
            self.doubts += 1
            self.doubtful_times += now - self.last_doubt_at > AT_ONCE_SECONDS
            self.last_doubt_at = now
            too_much = self.doubts >= 2 * connections or self.doubtful_times >= DOUBTFUL_TIMES
            return f"{self.doubts} mails in a row ended in doubt" if too_much else None
        self.doubts = self.doubtful_times = 0
        is_refused = verdict.run is OnRun.COUNT or verdict.reader is OnReader.HARD_BOUNCE
        self.refused.append(is_refused)
        self.was_accepted = self.was_accepted or verdict.delivery is OnDelivery.SENT
        self.refusals = self.refusals + 1 if is_refused else 0
        if self.refusals > max(connections, FEW if self.was_accepted else FEW_AT_FIRST):
            return f"{REFUSED_TOO_MANY} {self.refusals} mails in a row"
        if is_refused and (refused := sum(self.refused)) >= REFUSED:
            return f"{REFUSED_TOO_MANY} {refused} of the last {len(self.refused)} mails"
        return None


class Breaker:
    """Says when a digest must be paused, because its refusals are no longer about single readers.

    Mails in doubt because a worker ended, and mails that never reached the relay, are not noted here.

    Args:
        connections: of this worker. When the refusal comes in that is one too many, the others have a
            mail under way too: from three connections on that makes twice as many attempts at most.
    """

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._windows: dict[int, _Window] = {}

    def note(
        self, digest_id: int | None, verdict: Verdict, answer: str, now: float
    ) -> Pause | None:
        """Note how one attempt ended.

        Args:
            digest_id: None for a notice, which is not counted.
            answer: what the relay said, or how it was lost; addresses are taken out of it.
            now: seconds of one monotonic clock.

        Returns:
            That the digest is to be paused, if it is; what was noted about it is then forgotten.
        """
        if (
            digest_id is None
            or verdict.delivery is OnDelivery.RELEASE
            or verdict == UNSUPPORTED_EAI
        ):
            return None
        window = self._windows.pop(digest_id, None) or _Window()
        if (too_much := window.add(verdict, self._connections, now)) is not None:
            return Pause(digest_id, f"{too_much}, the last one with: {redact(answer)}")
        # The digest noted last is dropped last: nothing tells us that a digest is over.
        self._windows[digest_id] = window
        if len(self._windows) > _DIGESTS_KEPT:
            del self._windows[next(iter(self._windows))]
        return None
