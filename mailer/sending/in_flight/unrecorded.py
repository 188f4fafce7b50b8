"""Holds what a sender has yet to record, and the commit that is under way.

Pure. Whatever is put in here is in every commit until one has returned, and then in none.
"""

from collections.abc import Callable, Sequence

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.notices.alert import TurnedAway
from mailer.sending.composer import OutgoingMail
from mailer.sending.in_flight.attempt_results import Attempts
from mailer.sending.in_flight.commit import Commit
from mailer.sending.in_flight.events import Moment
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost, OnDelivery, Verdict


class Unrecorded:
    """What the next commit of one sender records.

    Args:
        attempts: makes the result of an attempt.

    Attributes:
        results: what became of attempts.
        released: claimed rows that wait again, as before.
        postponed: claimed rows that wait again for so many seconds, so that others go first.
        pauses: what is to be paused.
        turned_away: notices whose sender the relay refuses.
        commit: the one under way; at most one.
        has_failed: whether the last one failed. It may have been made all the same.
        must_reconcile: whether to release the rows that nobody here knows about.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self.results: list[AttemptResult] = []
        self.released: list[RowId] = []
        self.postponed: list[tuple[RowId, float]] = []
        self.pauses: list[Pause] = []
        self.turned_away: list[TurnedAway] = []
        self.commit: Commit | None = None
        self.has_failed = False
        self.must_reconcile = False

    def __bool__(self) -> bool:
        """Whether a commit is needed. After one that failed it is, to undo what it claimed."""
        return bool(
            self.results
            or self.released
            or self.postponed
            or self.pauses
            or self.turned_away
            or self.must_reconcile
        )

    def note(
        self,
        mail: OutgoingMail,
        moment: Moment,
        step: str,
        verdict: Verdict,
        answer: Reply | Lost | str,
        reason: str = "",
        wait: float | None = None,
    ) -> None:
        """Let the next commit record how an attempt ended; see `Attempts.result`.

        Args:
            wait: seconds before the mail goes out again, so that others go first.
        """
        self.results.append(
            self._attempts.result(
                mail.claim, step, verdict, answer, reason, moment, wait_seconds=wait or 0.0
            )
        )

    def note_unstarted(
        self,
        mail: OutgoingMail,
        moment: Moment,
        answer: Reply | Lost | str,
        reason: str,
        wait: float | None = None,
    ) -> None:
        """Let the next commit record that no final dot was sent of a mail whose start may be recorded.

        The row may say `sending`: our commit succeeded although its answer was lost, or the lease ran out
        since. It is not in doubt. If it is only claimed, it is released.
        """
        if mail.claim.worker_id == moment.worker_id:
            self.postponed.append((mail.claim.row, wait or 0.0))
        self.note(mail, moment, Step.BLOCK, Verdict(OnDelivery.RELEASE), answer, reason, wait)

    def is_to_be_paused(self, mail: OutgoingMail) -> bool:
        """Tell whether this mail may belong to what is to be paused."""
        return any(
            pause.digest_id is None
            or pause.refused is not None
            or pause.digest_id == mail.claim.digest_id
            for pause in self.pauses
        )

    def begin(
        self,
        starts: Sequence[RowId],
        *,
        claims: int,
        excluded: frozenset[int],
        refused: frozenset[str],
        in_hand: Callable[[], Sequence[RowId]],
    ) -> Commit:
        """Make the next commit, of everything in here and of these starts and claims; see `Commit`.

        Args:
            in_hand: returns the rows that the sender holds and that are not in here.
        """
        known = None
        if self.must_reconcile:
            known = frozenset([*in_hand(), *(result.row for result in self.results)])
        self.commit = Commit(
            results=tuple(self.results),
            starts=starts,
            released=tuple(self.released),
            postponed=tuple(self.postponed),
            pauses=tuple(self.pauses),
            turned_away=tuple(self.turned_away),
            refused=refused,
            known=known,
            claims=claims,
            excluded=excluded,
        )
        return self.commit

    def on_returned(self) -> Commit | None:
        """Forget what the commit under way has recorded, and return it."""
        commit, self.commit = self.commit, None
        if commit is not None:
            if commit.known is not None:
                self.has_failed = self.must_reconcile = False
            del self.results[: len(commit.results)]
            del self.released[: len(commit.released)]
            del self.postponed[: len(commit.postponed)]
            del self.pauses[: len(commit.pauses)]
            del self.turned_away[: len(commit.turned_away)]
        return commit

    def on_commit_failed(self) -> None:
        """Keep everything for the next commit, which also undoes what this one may have claimed."""
        self.commit = None
        self.on_database_failed()

    def on_database_failed(self) -> None:
        """Note that the database failed, but no commit: nothing begins until the next one."""
        self.has_failed = self.must_reconcile = True
