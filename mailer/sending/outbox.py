"""The mails that one sender has claimed and not begun, and what it has yet to tell the ledger.

Owns every transaction of the sender's loop. What cannot be committed is kept and tried again, and
until it is committed nothing starts.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer import failpoint
from mailer.clock import Times
from mailer.db import Database, is_unusable
from mailer.ledger import digest_state, ledger
from mailer.ledger.transitions import AttemptResult, Claim, RowId
from mailer.models import Notice
from mailer.notices import alert
from mailer.notices.alert import Alerts
from mailer.sending.flow_control import token_bucket
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.pace import SendRate, most_to_claim
from mailer.sending.outgoing import Composer, OutgoingMail
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often an idle sender looks whether anything waits; in this process `wake` is quicker."""

DATABASE_PAUSE_SECONDS = 0.5


class Outbox:
    """What a sender holds between the ledger and the relay.

    Args:
        restraint: says how many connections are used, and what is to be paused.
        begun: the rows of all mails that were taken from here and are not concluded.
        rate: of all workers together; None: as fast as the relay takes them.
        alerts: what it takes to tell staff that something was paused.

    Attributes:
        hungry: whether rows may wait in the ledger.
    """

    def __init__(
        self,
        database: Database,
        composer: Composer,
        pulse: SenderHeartbeat,
        times: Times,
        *,
        restraint: FlowControl,
        begun: Callable[[], list[RowId]],
        rate: SendRate | None,
        alerts: Alerts,
    ) -> None:
        self._database = database
        self._writer = database.writer()
        self._composer = composer
        self._pulse = pulse
        self._wall = times.wall
        self._monotonic = times.monotonic
        self._restraint = restraint
        self._begun = begun
        self._rate = rate
        self._alerts = alerts
        self._letters: deque[OutgoingMail] = deque()
        self._outcomes: list[AttemptResult] = []
        self._given_back: list[RowId] = []
        self._postponed: list[RowId] = []
        self._settle_after = 0.0
        self._claim_after = 0.0
        self._close_after = 0.0
        self._look_after = 0.0
        self._claims = 0
        self._fails = False
        self.hungry = True

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def is_stuck(self) -> bool:
        """Whether the ledger could not be told the last time: nothing begins before it can."""
        return self._fails

    @property
    def unsettled(self) -> bool:
        """Whether the ledger has yet to be told something."""
        told = self._outcomes or self._given_back or self._postponed
        return bool(told or self._restraint.pauses)

    def take(self) -> OutgoingMail:
        """The next mail, which the caller begins or concludes."""
        return self._letters.popleft()

    def put_back(self, letter: OutgoingMail) -> None:
        """This mail was begun in vain: it is the next one again."""
        self._letters.appendleft(letter)

    def conclude(self, outcome: AttemptResult) -> None:
        """Have this recorded in the next transaction."""
        self._outcomes.append(outcome)

    def release(self, row: RowId) -> None:
        """This one mail must not begin now: it waits as before."""
        self._given_back.append(row)

    def give_back(self, *rows: RowId) -> None:
        """Release `rows` and all mails that are not begun."""
        self._given_back += rows
        self._given_back += [letter.claim.row for letter in self._letters]
        self._letters.clear()

    def postpone(self, row: RowId) -> None:
        """Release a mail at which the relay failed, so that others go first."""
        self._postponed.append(row)

    def resync(self) -> None:
        """Something went wrong half way: before anything begins, give back what nobody knows of."""
        self._fails = True

    def look_soon(self) -> None:
        """Look for work at the next turn; from any thread."""
        self._look_after = 0.0

    def patience(self, *, in_need: bool) -> float:
        """Seconds until there is something to do here.

        Args:
            in_need: only a claim can bring the next mail.
        """
        now = self._monotonic()
        if self.unsettled or self._fails:
            return max(0.0, self._settle_after - now)
        if in_need and self._wanted:
            return min(max(0.0, self._settle_after - now, self._claim_after - now), LOOK_SECONDS)
        if self.hungry:
            # There is work enough: we wait for the relay, or for a pause to end.
            return LOOK_SECONDS
        return min(max(0.0, self._look_after - now), LOOK_SECONDS)

    def look(self) -> None:
        """Find out whether anything waits, if that was not done just now."""
        if self.hungry:
            return
        now = self._monotonic()
        if now < self._look_after:
            return
        self._look_after = now + LOOK_SECONDS
        try:
            with self._database.read() as session:
                self.hungry = ledger.work_waits(session, self._wall())
        except SQLAlchemyError as error:
            self._on_database_fault(error)

    @property
    def _wanted(self) -> int:
        """How many rows to claim, as far as the connections and the rate tell."""
        # Whoever may be held for dead by others claims nothing.
        connections = self._restraint.allowed
        if len(self._letters) >= connections or not self.hungry or not self._pulse.alive:
            return 0
        most = 2 * connections if self._rate is None else most_to_claim(connections, self._rate)
        return max(0, most - len(self._letters))

    def settle(self, starts: Collection[RowId], *, claiming: bool) -> frozenset[RowId] | None:
        """Commit what became of mails, these starts, and a claim where the stock is low.

        Returns:
            Which of `starts` are granted: they are in the ledger now. None where nothing was done.
            Where something is to be paused none is: it may be of that.
        """
        if self._restraint.pauses:
            starts = ()
        monotonic = self._monotonic()
        may_claim = claiming and monotonic >= self._claim_after and not self._restraint.pauses
        # What a claim brings may be at fault: first have recorded what has happened.
        may_claim = may_claim and not (self._fails and self._outcomes)
        wanted = self._wanted if may_claim else 0
        asked = self.unsettled or starts or wanted or self._fails
        if not asked or monotonic < self._settle_after:
            return None
        now = self._wall()
        try:
            if not wanted and self._is_plain:
                letters: list[OutgoingMail] = []
                with self._writer.statement() as session:
                    granted = self._turn(session, starts, now)
            else:
                with self._writer.write() as session:
                    granted = self._tell(session, starts, now)
                    letters = self._claim(session, wanted, now) if wanted else []
        except SQLAlchemyError as error:
            self._on_database_fault(error)
            return None
        self._fails = False
        if self._outcomes and not self._letters and not letters:
            # That may have been the last mail of its digest.
            self.look_soon()
        self._outcomes.clear()
        self._given_back.clear()
        self._postponed.clear()
        self._restraint.pauses.clear()
        self._restraint.turned_away.clear()
        self._take_in(self._tried_out(letters))
        return frozenset(granted)

    @property
    def _is_plain(self) -> bool:
        """Whether all that there is to tell fits into one statement."""
        return not (
            self._database.is_sqlite
            or self._fails
            or self._given_back
            or self._postponed
            or self._restraint.pauses
            or self._restraint.turned_away
            or not ledger.none_is_in_doubt(self._outcomes)
        )

    def _turn(
        self, session: Session, starts: Collection[RowId], now: datetime
    ) -> Collection[RowId]:
        if not starts and not self._outcomes:
            return ()
        return ledger.turn(session, self._pulse.worker_id, starts, self._outcomes, now)

    def _tell(
        self, session: Session, starts: Collection[RowId], now: datetime
    ) -> Collection[RowId]:
        """Enter all that happened, and the starts."""
        worker_id = self._pulse.worker_id
        self._refund(session, len(self._given_back) + len(self._postponed))
        monotonic = self._monotonic()
        for row in self._postponed:
            wait = timedelta(seconds=self._restraint.postponed(row, monotonic))
            ledger.release(session, worker_id, [row], again_at=now + wait)
        if self._fails:
            # A commit whose answer was lost, or a fault of ours, may have left rows that we know nothing of.
            ledger.release(session, worker_id, but=self._in_hand())
        if self._given_back:
            ledger.release(session, worker_id, self._given_back)
        granted = self._turn(session, starts, now)
        for pause in self._restraint.pauses:
            alert.on_pause(session, self._alerts, pause, now)
        if turned_away := self._restraint.turned_away:
            refused = self._restraint.refused_senders
            alert.on_sender_refused(session, self._alerts, turned_away, refused, now)
        return granted

    def _in_hand(self) -> list[RowId]:
        """The rows of all that is not yet entered as done with."""
        claimed = [letter.claim.row for letter in self._letters]
        return [*claimed, *self._begun(), *(outcome.row for outcome in self._outcomes)]

    def _claim(self, session: Session, wanted: int, now: datetime) -> list[OutgoingMail]:
        if self._rate is not None:
            wanted, wait = token_bucket.spend(session, self._rate, wanted)
            self._claim_after = self._monotonic() + wait
            if not wanted:
                return []
        self._claims += 1
        monotonic = self._monotonic()
        claims, skipped = ledger.claim(
            session,
            self._pulse.worker_id,
            wanted,
            now,
            turn=self._claims,
            but=self._restraint.resting_digests(monotonic),
        )
        self._refund(session, wanted - len(claims))
        self.hungry = len(claims) + skipped >= wanted
        if not (claims or skipped) or monotonic >= self._close_after:
            # Whoever waits for a small digest does not wait for a large one beside it.
            self._close_after = monotonic + LOOK_SECONDS
            digest_state.finish_digests(session, now)
        return self._composer.load(session, claims)

    def _refund(self, session: Session, number: int) -> None:
        """Pay back what was not begun; it buys the next mail at once, and not only when another comes in."""
        if self._rate is not None and number:
            token_bucket.refund(session, self._rate, number)
            self._claim_after = 0.0

    def _tried_out(self, letters: list[OutgoingMail]) -> list[OutgoingMail]:
        """Compose those that a worker died of, maybe: each is known to be the culprit if this one dies.

        What cannot be tried out, because the database is gone, is given back with all that came with it:
        their claim is committed, and so is whatever else was told in its transaction.
        """
        try:
            for letter in letters:
                if letter.claim.crashes:
                    self._enter_crashes(letter.claim, letter.claim.crashes + 1)
                    self._composer.try_out(letter)
                    self._enter_crashes(letter.claim, 0)
        except SQLAlchemyError as error:
            self._given_back += [letter.claim.row for letter in letters]
            self._on_database_fault(error)
            return []
        return letters

    def _enter_crashes(self, claim: Claim, crashes: int) -> None:
        with self._writer.write() as session:
            ledger.suspect(session, claim, crashes)

    def _take_in(self, letters: list[OutgoingMail]) -> None:
        if not letters:
            return
        # A notice overtakes what was claimed before it.
        notices = [letter for letter in letters if letter.claim.row.table is Notice]
        self._letters.extendleft(reversed(notices))
        self._letters.extend(letter for letter in letters if letter.claim.row.table is not Notice)
        failpoint.reach("worker.after-claim")

    def _on_database_fault(self, error: SQLAlchemyError) -> None:
        if not is_unusable(error):
            raise error
        # Outcomes are kept, and as nothing can be committed nothing more starts. The next commit that
        # goes through also gives back what nobody knows of.
        self.hungry = True
        self._settle_after = self._look_after = self._monotonic() + DATABASE_PAUSE_SECONDS
        if not self._fails:
            log.error(
                "the database cannot be used (%s); nothing is sent until it can, and %d outcomes are kept",
                redact(str(error).partition("\n")[0]),
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
