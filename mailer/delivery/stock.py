"""The mails that one sender has claimed and not begun, and what it has yet to tell the ledger.

Owns every transaction of the sender's loop. What cannot be committed is kept and tried again, and
until it is committed nothing starts.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer import failpoint
from mailer.clock import Times
from mailer.db import Database
from mailer.delivery import ledger, running
from mailer.delivery.change import Outcome, RowId
from mailer.delivery.mail import Composer, Letter
from mailer.delivery.outcome import kept
from mailer.delivery.pulse import Pulse

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often an idle sender looks whether anything waits; in this process `wake` is quicker."""

DATABASE_PAUSE_SECONDS = 0.5

CLAIMED_AHEAD = 100
"""Rows: a claim costs little more for many than for one."""


class Stock:
    """What a sender holds between the ledger and the relay.

    Args:
        least: with fewer mails than these it is time to claim more.
        begun: the rows of all mails that were taken from here and are not concluded.

    Attributes:
        hungry: whether rows may wait in the ledger.
    """

    def __init__(
        self,
        database: Database,
        composer: Composer,
        pulse: Pulse,
        times: Times,
        *,
        least: int,
        begun: Callable[[], list[RowId]],
    ) -> None:
        self._database = database
        self._writer = database.writer()
        self._composer = composer
        self._pulse = pulse
        self._wall = times.wall
        self._monotonic = times.monotonic
        self._least = least
        self._begun = begun
        self._letters: deque[Letter] = deque()
        self._outcomes: list[Outcome] = []
        self._given_back: list[RowId] = []
        self._settle_after = 0.0
        self._look_after = 0.0
        self._fails = False
        self.hungry = True

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def unsettled(self) -> bool:
        """Whether the ledger has yet to be told something."""
        return bool(self._outcomes or self._given_back)

    def take(self) -> Letter:
        """The next mail, which the caller begins or concludes."""
        return self._letters.popleft()

    def put_back(self, letter: Letter) -> None:
        """This mail was begun in vain: it is the next one again."""
        self._letters.appendleft(letter)

    def conclude(self, outcome: Outcome) -> None:
        """Have this recorded in the next transaction."""
        self._outcomes.append(outcome)

    def give_back(self, *rows: RowId) -> None:
        """Release `rows` and all mails that are not begun."""
        self._given_back += rows
        self._given_back += [letter.claim.row for letter in self._letters]
        self._letters.clear()

    def look_soon(self) -> None:
        """Look for work at the next turn; from any thread."""
        self._look_after = 0.0

    def patience(self, *, in_need: bool) -> float:
        """Seconds until there is something to do here.

        Args:
            in_need: only a claim can bring the next mail.
        """
        now = self._monotonic()
        if self.unsettled or self._fails or (in_need and self._wanted):
            return max(0.0, self._settle_after - now)
        if self.hungry:
            # There is work enough: we wait for the relay, or for a pause to end.
            return LOOK_SECONDS
        return min(max(0.0, self._look_after - now), LOOK_SECONDS)

    def look(self) -> None:
        """Find out whether anything waits, if that was not done just now."""
        now = self._monotonic()
        if self.hungry or now < self._look_after:
            return
        self._look_after = now + LOOK_SECONDS
        try:
            with self._database.read() as session:
                self.hungry = ledger.work_waits(session, self._wall())
        except SQLAlchemyError as error:
            self._on_database_fault(error)

    @property
    def _wanted(self) -> int:
        """How many rows to claim now."""
        # Whoever may be held for dead by others claims nothing.
        if len(self._letters) >= self._least or not self.hungry or not self._pulse.alive:
            return 0
        return max(2 * self._least, CLAIMED_AHEAD) - len(self._letters)

    def settle(self, starts: Collection[RowId], *, claiming: bool) -> frozenset[RowId] | None:
        """Commit what became of mails, these starts, and a claim where the stock is low.

        Returns:
            Which of `starts` are granted: they are in the ledger now. None where nothing was done.
        """
        wanted = self._wanted if claiming else 0
        asked = self.unsettled or starts or wanted or self._fails
        if not asked or self._monotonic() < self._settle_after:
            return None
        now = self._wall()
        worker_id = self._pulse.worker_id
        try:
            with self._writer.write() as session:
                if self._fails:
                    # A commit whose answer was lost may have claimed rows that we know nothing of.
                    ledger.release(session, worker_id, but=self._in_hand())
                ledger.release(session, worker_id, self._given_back)
                granted = ledger.start(session, worker_id, starts, now)
                ledger.record(session, self._outcomes, now)
                letters = self._claim(session, worker_id, wanted, now) if wanted else []
        except SQLAlchemyError as error:
            self._on_database_fault(error)
            return None
        self._fails = False
        if self._outcomes and not self._letters and not letters:
            # That may have been the last mail of its digest.
            self.look_soon()
        self._outcomes.clear()
        self._given_back.clear()
        self._letters.extend(letters)
        if letters:
            failpoint.reach("worker.after-claim")
        return frozenset(granted)

    def _in_hand(self) -> list[RowId]:
        """The rows of all that is not yet entered as done with."""
        claimed = [letter.claim.row for letter in self._letters]
        return [*claimed, *self._begun(), *(outcome.row for outcome in self._outcomes)]

    def _claim(self, session: Session, worker_id: int, wanted: int, now: datetime) -> list[Letter]:
        claims, skipped = ledger.claim(session, worker_id, wanted, now)
        self.hungry = len(claims) + skipped >= wanted
        if not claims and not skipped:
            running.finish_digests(session, now)
        return self._composer.load(session, claims)

    def _on_database_fault(self, error: SQLAlchemyError) -> None:
        # Outcomes are kept, and as nothing can be committed nothing more starts. The next commit that
        # goes through also gives back what nobody knows of.
        self.hungry = True
        self._settle_after = self._look_after = self._monotonic() + DATABASE_PAUSE_SECONDS
        if not self._fails:
            log.error(
                "the database cannot be used (%s); nothing is sent until it can, and %d outcomes are kept",
                kept(str(error).partition("\n")[0]),
                len(self._outcomes),
            )
        self._fails = True

    def close(self) -> bool:
        """Release what is still claimed; False where the ledger does not know all that happened."""
        for outcome in self._outcomes:
            log.error("the outcome could not be recorded: %s", outcome.row)
        try:
            with self._writer.write() as session:
                ledger.release(session, self._pulse.worker_id)
            self._writer.close()
        except SQLAlchemyError:
            return False
        return not self._outcomes
