"""Holds the mails that one sender has claimed and not begun, and the results that it has yet to record.

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
from mailer.db.prepared_statements import execute
from mailer.ledger import claims, digest_state, outcomes, recovery
from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import AttemptResult, Claim, RowId
from mailer.models import Notice
from mailer.notices import alert
from mailer.notices.alert import Alerts, TurnedAway
from mailer.sending.composer import Composer, OutgoingMail
from mailer.sending.flow_control import token_bucket
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.send_rate import SendRate, most_to_claim
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often an idle sender looks for work; `wake` makes it look at once."""

DATABASE_PAUSE_SECONDS = 0.5


class Outbox:
    """What a sender holds between the ledger and the relay.

    Args:
        in_hand: returns the rows of all mails that were taken from here and are not concluded.
        rate: of all workers together; None: as fast as the relay takes them.

    Attributes:
        is_hungry: whether rows may wait in the ledger.
        pauses, turned_away: for the next transaction. Nothing starts in one that pauses something.
    """

    def __init__(
        self,
        database: Database,
        composer: Composer,
        heartbeat: SenderHeartbeat,
        times: Times,
        *,
        flow: FlowControl,
        in_hand: Callable[[], list[RowId]],
        rate: SendRate | None,
        alerts: Alerts,
    ) -> None:
        self._database = database
        self._writer = database.writer()
        self._composer = composer
        self._heartbeat = heartbeat
        self._wall = times.wall
        self._monotonic = times.monotonic
        self._flow = flow
        self._begun_rows = in_hand
        self._rate = rate
        self._alerts = alerts
        self._mails: deque[OutgoingMail] = deque()
        self._results: list[AttemptResult] = []
        self._given_back: list[RowId] = []
        self._postponed: list[tuple[RowId, float]] = []
        self.pauses: list[Pause] = []
        self.turned_away: list[TurnedAway] = []
        self._settle_after = 0.0
        self._claim_after = self._close_after = self._look_after = 0.0
        self._claims = 0
        self._fails = False
        self.is_hungry = True

    def __len__(self) -> int:
        return len(self._mails)

    @property
    def is_stuck(self) -> bool:
        """Whether the last transaction failed: nothing begins before one succeeds."""
        return self._fails

    @property
    def unsettled(self) -> bool:
        """Whether something has yet to be recorded."""
        return bool(self._results or self._given_back or self._postponed or self.pauses)

    def take(self) -> OutgoingMail:
        """Take out the next mail, which the caller begins or concludes."""
        return self._mails.popleft()

    def put_back(self, mail: OutgoingMail) -> None:
        """Make a mail that was begun without result the next one again."""
        self._mails.appendleft(mail)

    def conclude(self, result: AttemptResult) -> None:
        """Record this result in the next transaction."""
        self._results.append(result)

    def release(self, row: RowId) -> None:
        """Release one mail that must not begin now: it waits as before."""
        self._given_back.append(row)

    def give_back(self, *rows: RowId) -> None:
        """Release `rows` and all mails that are not begun."""
        self._given_back += rows
        self._given_back += [mail.claim.row for mail in self._mails]
        self._mails.clear()

    def postpone(self, row: RowId, seconds: float) -> None:
        """Release a mail on which the relay failed, so that others go first."""
        self._postponed.append((row, seconds))

    def resync(self) -> None:
        """Give back claimed rows that this process does not know about, before anything begins.

        To be called after a fault half way.
        """
        self._fails = True

    def look_soon(self) -> None:
        """Look for work at the next turn; from any thread."""
        self._look_after = 0.0

    def wait_seconds(self, *, in_need: bool) -> float:
        """Return the seconds until there is something to do here.

        Args:
            in_need: only a claim can bring the next mail.
        """
        now = self._monotonic()
        if self.unsettled or self._fails:
            return max(0.0, self._settle_after - now)
        if in_need and self._wanted:
            return min(max(0.0, self._settle_after - now, self._claim_after - now), LOOK_SECONDS)
        if self.is_hungry:
            # There is enough work: we wait for the relay, or for a pause to end.
            return LOOK_SECONDS
        return min(max(0.0, self._look_after - now), LOOK_SECONDS)

    def look(self) -> None:
        """Look whether anything waits, unless that was done just now."""
        if self.is_hungry:
            return
        now = self._monotonic()
        if now < self._look_after:
            return
        self._look_after = now + LOOK_SECONDS
        try:
            with self._database.read() as session:
                self.is_hungry = claims.work_waits(session, self._wall())
        except SQLAlchemyError as error:
            self._on_database_fault(error)

    @property
    def _wanted(self) -> int:
        """How many rows to claim, by the connections and the rate alone."""
        # A worker that others may consider dead claims nothing.
        connections = self._flow.allowed
        if len(self._mails) >= connections or not self.is_hungry or not self._heartbeat.alive:
            return 0
        most = 2 * connections if self._rate is None else most_to_claim(connections, self._rate)
        return max(0, most - len(self._mails))

    def settle(self, starts: Collection[RowId], *, claiming: bool) -> frozenset[RowId] | None:
        """Commit what became of mails, these starts, and a claim if the outbox is low.

        Returns:
            Which of `starts` are granted: the ledger has them now. None if nothing was done. If something is
            to be paused, none is granted: it may belong to that.
        """
        if self.pauses:
            starts = ()
        monotonic = self._monotonic()
        may_claim = claiming and monotonic >= self._claim_after and not self.pauses
        # A claim may be what fails: what has happened is recorded first.
        may_claim = may_claim and not (self._fails and self._results)
        wanted = self._wanted if may_claim else 0
        has_work = self.unsettled or starts or wanted or self._fails
        if not has_work or monotonic < self._settle_after:
            return None
        now = self._wall()
        try:
            if not wanted and self._is_plain:
                mails: list[OutgoingMail] = []
                with self._writer.statement() as session:
                    granted = self._record_and_start(session, starts, now)
            else:
                with self._writer.write() as session:
                    granted = self._record_all(session, starts, now)
                    mails = self._claim(session, wanted, now) if wanted else []
        except SQLAlchemyError as error:
            self._on_database_fault(error)
            return None
        self._fails = False
        if self._results and not self._mails and not mails:
            # That may have been the last mail of its digest.
            self.look_soon()
        self._results.clear()
        self._given_back.clear()
        self._postponed.clear()
        self.pauses.clear()
        self.turned_away.clear()
        self._take_in(self._try_out(mails))
        return frozenset(granted)

    @property
    def _is_plain(self) -> bool:
        """Whether all that is to be recorded fits into one statement."""
        return not (
            self._database.is_sqlite
            or self._fails
            or self._given_back
            or self._postponed
            or self.pauses
            or self.turned_away
            or not outcomes.none_is_in_doubt(self._results)
        )

    def _record_and_start(
        self, session: Session, starts: Collection[RowId], now: datetime
    ) -> Collection[RowId]:
        if not starts and not self._results:
            return ()
        worker_id, together = self._heartbeat.worker_id, not self._database.is_sqlite
        queries = outcomes.record_and_start(worker_id, self._results, starts, now, together)
        return execute(queries, session)

    def _record_all(
        self, session: Session, starts: Collection[RowId], now: datetime
    ) -> Collection[RowId]:
        """Record all that happened, and the starts."""
        worker_id = self._heartbeat.worker_id
        self._refund(session, len(self._given_back) + len(self._postponed))
        for row, seconds in self._postponed:
            claims.release(session, worker_id, [row], again_at=now + timedelta(seconds=seconds))
        if self._fails:
            # A commit whose answer was lost, or a fault of ours, may have left rows that are not known here.
            claims.release(session, worker_id, kept=self._in_hand())
        if self._given_back:
            claims.release(session, worker_id, self._given_back)
        granted = self._record_and_start(session, starts, now)
        for pause in self.pauses:
            alert.on_pause(session, self._alerts, pause, now)
        if self.turned_away:
            refused = self._flow.refused_addresses
            alert.on_sender_refused(session, self._alerts, self.turned_away, refused, now)
        return granted

    def _in_hand(self) -> list[RowId]:
        claimed = [mail.claim.row for mail in self._mails]
        return [*claimed, *self._begun_rows(), *(result.row for result in self._results)]

    def _claim(self, session: Session, wanted: int, now: datetime) -> list[OutgoingMail]:
        if self._rate is not None:
            wanted, wait = token_bucket.spend(session, self._rate, wanted)
            self._claim_after = self._monotonic() + wait
            if not wanted:
                return []
        self._claims, monotonic = self._claims + 1, self._monotonic()
        worker_id, excluded = self._heartbeat.worker_id, self._flow.paused_digests(monotonic)
        queries = claims.claim(worker_id, wanted, now, rotation=self._claims, excluded=excluded)
        claimed, skipped = execute(queries, session)
        self._refund(session, wanted - len(claimed))
        self.is_hungry = len(claimed) + skipped >= wanted
        if not (claimed or skipped) or monotonic >= self._close_after:
            # A small digest is not kept open by a large one beside it.
            self._close_after = monotonic + LOOK_SECONDS
            digest_state.finish_digests(session, now)
        return self._composer.load(session, claimed)

    def _refund(self, session: Session, number: int) -> None:
        """Pay back what was not begun, so that the next mail need not wait for a token."""
        if self._rate is not None and number:
            token_bucket.refund(session, self._rate, number)
            self._claim_after = 0.0

    def _try_out(self, mails: list[OutgoingMail]) -> list[OutgoingMail]:
        """Compose the mails that a worker may have died of, each alone: if this one dies, it was that mail.

        If the database fails meanwhile, all that were claimed with it are given back: their claim is
        committed, and so is whatever else was recorded in its transaction.
        """
        try:
            for mail in mails:
                if mail.claim.crashes:
                    self._note_crashes(mail.claim, mail.claim.crashes + 1)
                    self._composer.try_out(mail)
                    self._note_crashes(mail.claim, 0)
        except SQLAlchemyError as error:
            self._given_back += [mail.claim.row for mail in mails]
            self._on_database_fault(error)
            return []
        return mails

    def _note_crashes(self, claim: Claim, crashes: int) -> None:
        with self._writer.write() as session:
            recovery.note_crashes(session, claim, crashes)

    def _take_in(self, mails: list[OutgoingMail]) -> None:
        if not mails:
            return
        # A notice overtakes what was claimed before it.
        notices = [mail for mail in mails if mail.claim.row.table is Notice]
        self._mails.extendleft(reversed(notices))
        self._mails.extend(mail for mail in mails if mail.claim.row.table is not Notice)
        failpoint.reach("worker.after-claim")

    def _on_database_fault(self, error: SQLAlchemyError) -> None:
        if not is_unusable(error):
            raise error
        # Results are kept, and as nothing can be committed nothing more starts. The next commit that
        # succeeds also gives back the rows that this process does not know about.
        self.is_hungry = True
        self._settle_after = self._look_after = self._monotonic() + DATABASE_PAUSE_SECONDS
        if not self._fails:
            log.error(
                "the database cannot be used (%s); nothing is sent until it can, and %d results are kept",
                redact(str(error).partition("\n")[0]),
                len(self._results),
            )
        self._fails = True

    def close(self) -> bool:
        """Release what is still claimed. Return False if not all that happened is recorded."""
        for result in self._results:
            log.error("the result of %s could not be recorded", result.row)
        try:
            with self._writer.write() as session:
                claims.release(session, self._heartbeat.worker_id)
            self._writer.close()
        except SQLAlchemyError:
            return False
        return not self._results
