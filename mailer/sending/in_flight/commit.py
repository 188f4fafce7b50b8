"""Defines what the sender asks of the database in one transaction, and what it is told afterwards.

Pure. `in_flight.owner` decides what goes into a commit, and `mailer.sending.committer` executes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.notices.alert import TurnedAway
from mailer.sending.composer import OutgoingMail


@dataclass(frozen=True, slots=True)
class Commit:
    """What one transaction records and claims: all of it, or nothing.

    Attributes:
        results: what became of attempts.
        starts: mails of which the relay has all but the final dot. No row is in `results` too.
        released: claimed rows that wait again, as before.
        postponed: claimed rows that wait again, for so many seconds from now: others go first.
        pauses: what is to be paused, after the results are recorded.
        turned_away: notices whose sender the relay refuses; their results are in `results`.
        refused: all From addresses that the relay refuses, in lower case.
        known: if set, rows that this worker has claimed and that are not among these are released too. For
            the first commit after one that failed: nobody knows what that one claimed.
        claims: how many rows to claim at most.
        excluded: digests of which nothing is claimed now.
    """

    results: Sequence[AttemptResult] = ()
    starts: Sequence[RowId] = ()
    released: Sequence[RowId] = ()
    postponed: Sequence[tuple[RowId, float]] = ()
    pauses: Sequence[Pause] = ()
    turned_away: Sequence[TurnedAway] = ()
    refused: frozenset[str] = frozenset()
    known: frozenset[RowId] | None = None
    claims: int = 0
    excluded: frozenset[int] = frozenset()

    @property
    def is_plain(self) -> bool:
        """Whether it only records results and starts, and claims."""
        return self.known is None and not (
            self.released or self.postponed or self.pauses or self.turned_away
        )


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit has recorded what it was to record.

    Attributes:
        granted: which of its starts may get their final dot.
    """

    granted: frozenset[RowId] = frozenset()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A commit that was to claim rows has claimed them. It comes before its `Committed`, or after it.

    Attributes:
        mails: in the order in which they are to be sent.
        more_waits: whether another claim may find more.
        claim_in: seconds until the rate allows the next claim.
        unready: rows that could not be tried out because the database failed afterwards: they must be
            released.
    """

    mails: Sequence[OutgoingMail] = ()
    more_waits: bool = False
    claim_in: float = 0.0
    unready: Sequence[RowId] = ()


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """A commit, or a look, failed because the database cannot be used: whether it was made is not known."""

    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """Whether a claim would find anything, or a digest can be closed."""

    work_waits: bool
