"""Counts the results of attempts for monitoring: in memory first, then added up in the database.

Decides nothing, and the ledger does not depend on it. Its words are few and fixed, because each pair of
them becomes a time series of metrics: never a reply's own text.
"""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from mailer.db import dialect_insert
from mailer.message.smtp_codes import Meaning, meaning
from mailer.models import Tally
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost

Counts = Mapping[tuple[str, str], int]
"""How often each pair of outcome and reason was noted."""

OUTCOMES: Final = frozenset({"sent", "deferred", "failed", "unknown"})
"""How an attempt may end."""

DROPPED: Final = "dropped"
TIMEOUT: Final = "timeout"
UNSENDABLE: Final = "unsendable"
"""We could not make the mail, or the relay had said that it cannot take it."""
STOPPED: Final = "stopped"
"""It was abandoned before its final dot, because the worker or the digest was stopped."""
CRASHED: Final = "crashed"
"""Its worker ended before it could record what the relay said."""

_OTHER: Final = Meaning.OTHER.value
REASONS: Final = frozenset(
    {*(member.value for member in Meaning), DROPPED, TIMEOUT, UNSENDABLE, STOPPED, CRASHED}
)
"""Why an attempt may have ended so."""

_LOST: Final = {Lost.DROP: DROPPED, Lost.TIMEOUT: TIMEOUT}


def reason(answer: Reply | Lost) -> str:
    """Return in one word why an attempt ended so: what the reply is about, or how the connection was lost."""
    if isinstance(answer, Lost):
        return _LOST[answer]
    return meaning(answer.code, answer.enhanced).value


class Counters:
    """What one sender has counted and not yet written. Used by the sender's thread and by its heartbeat's."""

    def __init__(self) -> None:
        # A deque needs no lock for single items, so counting never delays sending.
        self._noted: deque[tuple[str, str]] = deque()
        self._put_back: Counter[tuple[str, str]] = Counter()

    def note(self, outcome: str, why: str) -> None:
        """Count one attempt. Takes well under a microsecond, and never raises.

        Args:
            outcome: one of `OUTCOMES`; any other is not counted.
            why: from `reason`, or one of the words of this module; any other counts as "other".
        """
        self._noted.append((outcome, why))

    def take(self) -> Counts:
        """Take all that was counted since the last time. The caller writes it down, or puts it back."""
        taken, self._put_back = self._put_back, Counter()
        while self._noted:
            outcome, why = self._noted.popleft()
            if outcome in OUTCOMES:
                taken[outcome, why if why in REASONS else _OTHER] += 1
        return taken

    def put_back(self, counts: Counts) -> None:
        """Keep counts that could not be written down for the next `take`."""
        self._put_back.update(counts)


def add(session: Session, worker_id: int, counts: Counts) -> None:
    """Add `counts` to what this worker counted before, in one statement."""
    if not counts:
        return
    rows = [
        # Members of an enumeration are strings, but a driver may treat them as something else.
        {"worker_id": worker_id, "outcome": str(outcome), "reason": str(why), "number": number}
        for (outcome, why), number in counts.items()
    ]
    new = dialect_insert(session, Tally).values(rows)
    session.execute(
        new.on_conflict_do_update(
            index_elements=[Tally.worker_id, Tally.outcome, Tally.reason],
            set_={"number": Tally.number + new.excluded.number},
        )
    )
