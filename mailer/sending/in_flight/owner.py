"""Owns the mails of one sender from their claim until their results are recorded.

Pure: events come in, and out come a commit and what is to be written on each connection. Nothing else knows
which mail is where, or what is in which commit. At most one commit is under way, and what happens meanwhile
goes into the next; what it claims may come in before it has returned, or after. A final dot is written only
after a commit has returned that granted it. A result is in each commit until one has returned. After a
commit that failed nothing begins until another one has returned.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.sending import counters
from mailer.sending.composer import OutgoingMail
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.attempt import Attempt
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.in_flight import events
from mailer.sending.in_flight.attempt_results import Attempts
from mailer.sending.in_flight.commit import Claimed, Commit, CommitFailed, Committed, Looked
from mailer.sending.in_flight.open_connections import OpenConnection, OpenConnections, Phase
from mailer.sending.in_flight.outbox import LOOK_SECONDS, Outbox
from mailer.sending.in_flight.unrecorded import Unrecorded
from mailer.sending.smtp.events import Answered, BodyWritten, Closed, Ready, Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import (
    SENT,
    UNSENDABLE,
    UNSUPPORTED_EAI,
    Lost,
    OnDelivery,
    Unopened,
    Verdict,
    verdict_on,
)

# Long because whatever decides about a mail in flight must be read together.

log = logging.getLogger(__name__)

DATABASE_PAUSE_SECONDS: Final = 0.5
"""How long nothing is asked of a database that cannot be used."""

GATHER_SECONDS: Final = 0.002
"""How long a commit waits for more results and starts, while the relay has yet to answer for other mails."""

GATHERED: Final = 8
"""With so many results or starts it waits no longer: more would hardly make it cheaper for each."""

RECONCILE_SECONDS: Final = 10.0
"""How long after a failed commit its claim may still be made, by a server that had begun with it."""

DRAIN_SECONDS: Final = 25.0
"""How long the relay may take to answer for the mails under way after a stop."""

LAST_RECORD_SECONDS: Final = 3.0
"""How long the last results may take to be recorded after that."""

FAULT_WAIT_SECONDS: Final = 2.0
"""How long a mail waits that was in hand when a fault of ours ended a step: others go first."""


class InFlight:
    """The mails that one sender has claimed, and what it has yet to record about them."""

    def __init__(self, config: SendConfig, attempts: Attempts, flow: FlowControl) -> None:
        self._config = config
        self._flow = flow
        self._connections = OpenConnections()
        self._outbox = Outbox(config.rate)
        self._unrecorded = Unrecorded(attempts)
        self._starting: list[OpenConnection] = []
        self._commit_after = 0.0
        self._gather_until: float | None = None
        self._reconcile_after: float | None = None
        self._drain_until: float | None = None
        self._record_until: float | None = None
        self._worker_id = 0
        # Of the present step.
        self._moment: events.Moment
        self._now = 0.0
        self._writes: list[events.Write] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.Happened: self._on_happened,
            events.Opened: self._on_opened,
            Unopened: self._connections.on_unopened,
            events.NotComposed: self._on_not_composed,
            events.DotWithheld: self._on_dot_withheld,
            Committed: self._on_committed,
            Claimed: self._on_claimed,
            CommitFailed: self._on_commit_failed,
            Looked: self._on_looked,
            events.Wake: self._on_wake,
            events.Stop: self._on_stop,
            events.Fault: self._on_fault,
        }

    @property
    def connections(self) -> frozenset[int]:
        """The connections that are open, as far as is known here."""
        return self._connections.ids

    @property
    def is_done(self) -> bool:
        """Whether all is finished after a stop, or no time is left for the rest."""
        if self._record_until is None or self._connections.busy:
            return False
        is_recorded = self._unrecorded.commit is None and not self._unrecorded
        return is_recorded or self._now >= self._record_until

    @property
    def unrecorded(self) -> Sequence[AttemptResult]:
        """The results that no commit has recorded yet."""
        return self._unrecorded.results

    def step(self, happened: Iterable[events.SendEvent], moment: events.Moment) -> events.Actions:
        """Take in what happened, in this order, and decide what is to be done."""
        self._moment, self._now = moment, moment.monotonic
        self._writes = []
        if moment.worker_id != self._worker_id:
            # We were considered dead, and others have taken over what was claimed.
            self._worker_id = moment.worker_id
            self._outbox.take_all()
        for event in happened:
            self._handlers[type(event)](event)
        for failure in self._connections.judgeable_failures():
            self._judge(failure)
        number = 0
        if self._drain_until is not None:
            self._drain(self._drain_until)
        elif not self._unrecorded.has_failed:
            number = self._begin_mails()
        is_due = self._reconcile_after is not None and self._now >= self._reconcile_after
        if is_due and not self._outbox.is_claiming:
            self._reconcile_after, self._unrecorded.must_reconcile = None, True
        commit = self._next_commit()
        return events.Actions(
            self._writes, commit, number, self._looks(commit), self._wait_seconds()
        )

    # What the relay said.

    def _on_happened(self, happened: events.Happened) -> None:
        connection = self._connections.get(happened.connection)
        event = happened.event
        if connection is None:
            return
        if isinstance(event, Closed) or (isinstance(event, Answered) and event.step != Step.DOT):
            self._take_back_dot(connection)
        if isinstance(event, Answered):
            is_sent = event.step is Step.DOT and event.reply.accepted
            verdict = SENT if is_sent else verdict_on(event.step, event.reply)
            self._on_answer(connection, event.step, verdict, event.reply)
        elif isinstance(event, BodyWritten):
            self._connections.written(connection)
        elif isinstance(event, Closed):
            self._on_closed(connection, event)
        elif isinstance(event, Ready) and connection.mail is None:
            connection.phase, connection.idle_since = Phase.FREE, self._now

    def _take_back_dot(self, connection: OpenConnection) -> None:
        """Write nothing more on a connection whose final dot this very step has decided on.

        The relay has ended the mail before, or a fault of ours keeps the dot from being written.
        """
        writes = [write for write in self._writes if write.connection == connection.id]
        if not any(isinstance(write, events.FinalDot) for write in writes):
            return
        self._writes = [write for write in self._writes if write.connection != connection.id]
        connection.phase = Phase.STARTING
        if connection.next_mail is not None:
            self._put_back(connection.next_mail)
            connection.next_mail = None

    def _on_closed(self, connection: OpenConnection, closed: Closed) -> None:
        self._drop(connection)
        mail, step, reply = connection.mail, closed.step, closed.reply
        if mail is None:
            # A relay may close an idle connection, but one that never takes a mail is left alone for a while.
            if not connection.served and not connection.is_leaving:
                self._flow.on_lost(closed.reason, self._now)
            return
        lost = Lost.TIMEOUT if closed.reason == Lost.TIMEOUT else Lost.DROP
        was_idle = step is Step.MAIL and connection.served and reply is None and lost is Lost.DROP
        if was_idle or (step is Step.DOT and connection.phase is Phase.BEGUN):
            # It had closed the idle connection, and we did not know yet; or what it said was about the mail
            # before this one.
            self._put_back(mail)
            return
        is_started = connection.phase is Phase.STARTED
        step = Step.DOT if is_started else step or Step.MAIL
        answer = lost if is_started else reply or lost
        self._on_answer(connection, step, verdict_on(step, answer), answer, closed.reason)
        self._flow.on_lost(closed.reason, self._now)

    def _on_answer(
        self,
        connection: OpenConnection,
        step: Step,
        verdict: Verdict,
        answer: Reply | Lost,
        reason: str = "",
    ) -> None:
        """Take the mail in hand off its connection, because of what the relay did."""
        if connection.mail is None:
            return
        said = str(answer) if isinstance(answer, Reply) else reason or answer
        verdict, wait, pauses, turned_away = self._flow.on_answer(
            _attempt(connection.mail), step, verdict, said, self._now
        )
        self._note_end(connection, step, verdict, answer, reason, wait)
        self._connections.take_off(connection)
        if connection.is_leaving and self._connections.get(connection.id) is not None:
            self._drop(connection)
        if turned_away is not None:
            self._unrecorded.turned_away.append(turned_away)
        self._pause(*pauses)

    def _pause(self, *pauses: Pause) -> None:
        if pauses:
            self._unrecorded.pauses += pauses
            # What is claimed may belong to what is to be paused, and the next claim knows.
            self._release_claimed()

    def _drop(self, connection: OpenConnection) -> None:
        """Close a connection. Its next mail, of which the relay has no content, is put back."""
        self._connections.remove(connection)
        self._writes.append(events.Close(connection.id))
        if connection.next_mail is not None:
            self._put_back(connection.next_mail)
            connection.next_mail = None

    def _note_end(
        self,
        connection: OpenConnection,
        step: Step,
        verdict: Verdict,
        answer: Reply | Lost | str,
        reason: str,
        wait: float | None = None,
    ) -> None:
        """Note that the mail in hand has ended: the ledger is told unless it knows of no attempt."""
        mail = connection.mail
        if mail is None:
            return
        if verdict.delivery is not OnDelivery.RELEASE or connection.phase is Phase.STARTED:
            self._unrecorded.note(mail, self._moment, step, verdict, answer, reason, wait)
        elif connection.is_start_unsure:
            self._unrecorded.note_unstarted(mail, self._moment, answer, reason, wait)
        else:
            self._put_back(mail, wait)

    def _end(
        self, connection: OpenConnection, reason: str, wait: float | None = FAULT_WAIT_SECONDS
    ) -> None:
        """Close a connection for a reason of ours, for which the relay is not to blame."""
        self._drop(connection)
        is_started = connection.phase is Phase.STARTED
        step, answer = (Step.DOT, Lost.DROP) if is_started else (Step.BLOCK, counters.STOPPED)
        self._note_end(connection, step, verdict_on(step, Lost.DROP), answer, reason, wait)

    def _is_ours(self, mail: OutgoingMail) -> bool:
        """Tell whether we still hold this mail: if we were considered dead, others have taken it over."""
        return mail.claim.worker_id == self._moment.worker_id

    def _put_back(self, mail: OutgoingMail, wait: float | None = None) -> None:
        """Let a mail of which no start is recorded be the next one again, or wait so many seconds."""
        if self._is_ours(mail) and wait is None:
            self._outbox.put_back(mail)
        elif self._is_ours(mail):
            self._unrecorded.postponed.append((mail.claim.row, wait or 0.0))

    def _abandon(self, connection: OpenConnection) -> None:
        """Give up a mail that must not get its final dot. Only closing keeps the relay from taking it."""
        self._end(connection, "it was stopped before the final dot", wait=None)
        # What stopped it may stop all that is claimed: the next claim asks again.
        self._release_claimed()

    # The next mails.

    def _on_opened(self, opened: events.Opened) -> None:
        self._connections.on_opened(opened, self._now)
        self._flow.on_connections(len(self._connections))

    def _judge(self, failure: Unopened) -> None:
        others = len(self._connections) + self._connections.opening
        if (pause := self._flow.on_unopened(failure, others, self._now)) is not None:
            self._pause(pause)

    def _begin_mails(self) -> int:
        """Begin mails on free connections. Return how many more to open."""
        if not self._flow.may_begin(self._now):
            self._release_claimed()
            return 0
        if self._outbox:
            self._begin_on_free()
        for connection in self._connections.to_quit(self._flow.allowed, self._now):
            self._quit(connection)
        room = self._flow.room(self._now) - len(self._connections)
        return self._connections.to_open(min(len(self._outbox), room))

    def _begin_on_free(self) -> None:
        free = self._connections.free
        room = self._flow.allowed - (len(self._connections) - len(free))
        for connection in free:
            if connection.served >= self._config.messages_per_connection:
                self._quit(connection)
            elif room > 0 and (mail := self._next_mail()) is not None:
                room -= 1
                connection.mail, connection.phase = mail, Phase.BEGUN
                self._writes.append(events.Begin(connection.id, mail))

    def _begin_next(self, connection: OpenConnection) -> None:
        """Begin the next mail in the write that holds this one's final dot."""
        is_last = connection.served + 1 >= self._config.messages_per_connection
        if (
            connection.pipelines
            and not is_last
            and self._drain_until is None
            and not self._unrecorded.has_failed
            and len(self._connections) <= self._flow.allowed
            and self._flow.may_begin(self._now)
            and (mail := self._next_mail()) is not None
        ):
            connection.next_mail = mail
            self._writes.append(events.Begin(connection.id, mail))

    def _next_mail(self) -> OutgoingMail | None:
        while self._outbox:
            mail = self._outbox.take()
            if self._flow.admits(mail.compiled.sender_id, mail.claim.digest_id, self._now):
                return mail
            self._unrecorded.released.append(mail.claim.row)
        return None

    def _on_not_composed(self, event: events.NotComposed) -> None:
        connection = self._connections.get(event.connection)
        if connection is None:
            return
        mail = connection.next_mail or connection.mail
        if connection.next_mail is not None:
            connection.next_mail = None
        else:
            connection.mail, connection.phase = None, Phase.FREE
        if mail is None:
            return
        reason = event.reason.reason
        verdict = UNSUPPORTED_EAI if event.reason.lacks_smtputf8 else UNSENDABLE
        self._unrecorded.note(mail, self._moment, "compose", verdict, counters.UNSENDABLE, reason)
        pause = self._flow.on_unsendable(_attempt(mail), verdict, reason, self._now)
        if pause is not None:
            self._pause(pause)

    def _quit(self, connection: OpenConnection) -> None:
        connection.is_leaving = True
        self._writes.append(events.Quit(connection.id))

    def _release_claimed(self) -> None:
        self._unrecorded.released += self._outbox.take_all()

    # The ledger.

    def _next_commit(self) -> Commit | None:
        if self._unrecorded.commit is not None or self._now < self._commit_after:
            return None
        for connection in list(self._connections.awaiting_start):
            if connection.mail and not self._is_ours(connection.mail):
                # The row may have been claimed anew, and would be granted to this mail too.
                self._abandon(connection)
        recorded = {result.row for result in self._unrecorded.results}
        # A worker that others may consider dead starts nothing.
        starting = [
            connection
            for connection in (self._connections.awaiting_start if self._moment.is_alive else ())
            if connection.mail
            and connection.mail.claim.row not in recorded
            and not self._unrecorded.is_to_be_paused(connection.mail)
        ]
        claims = self._outbox.wanted(self._flow.allowed, self._now) if self._may_claim else 0
        if not (starting or self._unrecorded or (claims and self._is_in_need)):
            return None
        if self._gathers(len(starting)):
            return None
        self._connections.start(starting)
        if claims:
            self._outbox.on_claiming()
        self._starting = starting
        return self._unrecorded.begin(
            [connection.mail.claim.row for connection in starting if connection.mail],
            claims=claims,
            excluded=self._flow.paused_digests(self._now),
            refused=self._flow.refused_addresses,
            in_hand=lambda: [*self._connections.rows, *self._outbox.rows],
        )

    def _gathers(self, starting: int) -> bool:
        """Tell whether to wait a moment for more: a commit costs hardly more for many mails than for one."""
        gathered = max(starting, len(self._unrecorded.results))
        if gathered >= GATHERED or not self._connections.awaits_answer:
            self._gather_until = None
        elif self._gather_until is None:
            self._gather_until = self._now + GATHER_SECONDS
        elif self._now >= self._gather_until:
            self._gather_until = None
        return self._gather_until is not None

    @property
    def _is_in_need(self) -> bool:
        """Whether a claim is worth a commit of its own. Otherwise it goes with the next results or starts."""
        return not self._outbox and len(self._connections.busy) < self._flow.allowed

    @property
    def _may_claim(self) -> bool:
        return not (
            self._drain_until is not None
            or self._unrecorded.pauses
            # A claim may be what fails: what has happened is recorded first.
            or (self._unrecorded.has_failed and self._unrecorded.results)
            # A worker that others may consider dead claims nothing.
            or not self._moment.is_alive
            or not self._flow.may_begin(self._now)
        )

    def _on_committed(self, committed: Committed) -> None:
        commit = self._unrecorded.on_returned()
        if commit is None:
            return
        self._outbox.on_committed(commit, self._now)
        self._finish(committed.granted)

    def _on_claimed(self, claimed: Claimed) -> None:
        self._outbox.on_claimed(claimed, self._new(claimed.mails), self._now)
        if claimed.unready:
            self._unrecorded.released += claimed.unready
            self._on_database_failed("a mail could not be tried out")
            self._unrecorded.on_database_failed()

    def _new(self, mails: Sequence[OutgoingMail]) -> list[OutgoingMail]:
        """Return those of the claimed mails that are to be taken in.

        PostgreSQL may have forgotten a claim in a crash: then the row is claimed again, for the mail that is
        in hand. And others have taken over what was claimed before we were considered dead; what is still
        in hand of that is not ours, so that its row may be claimed anew.
        """
        ours = {mail.claim.row for mail in self._connections.mails if self._is_ours(mail)}
        in_hand = ours.union(self._outbox.rows)
        return [mail for mail in mails if self._is_ours(mail) and mail.claim.row not in in_hand]

    def _finish(self, granted: frozenset[RowId]) -> None:
        """Send the final dots that were granted, and give up the other mails."""
        starting, self._starting = self._starting, []
        for connection in starting:
            mail = connection.mail
            if connection.phase is not Phase.STARTING or mail is None:
                continue
            is_granted = mail.claim.row in granted and self._moment.is_alive and self._is_ours(mail)
            if is_granted and not self._unrecorded.is_to_be_paused(mail):
                connection.phase = Phase.STARTED
                self._writes.append(events.FinalDot(connection.id))
                self._begin_next(connection)
            else:
                self._abandon(connection)

    def _on_dot_withheld(self, event: events.DotWithheld) -> None:
        if (connection := self._connections.get(event.connection)) is not None:
            connection.phase = Phase.STARTING
            self._abandon(connection)

    def _on_commit_failed(self, failed: CommitFailed) -> None:
        self._forget_starts()
        self._on_database_failed(failed.reason)
        self._reconcile_later()

    def _forget_starts(self) -> None:
        self._connections.unstart(self._starting)
        self._starting = []

    def _on_database_failed(self, reason: str) -> None:
        # Results are kept, and as nothing can be committed nothing more starts. The next commit that
        # succeeds also releases the rows that are not known here.
        self._outbox.on_database_failed()
        self._commit_after = self._now + DATABASE_PAUSE_SECONDS
        if not self._unrecorded.has_failed:
            log.error(
                "the database cannot be used (%s); nothing is sent until it can, and %d results are kept",
                reason,
                len(self._unrecorded.results),
            )

    def _reconcile_later(self) -> None:
        self._unrecorded.on_commit_failed()
        self._reconcile_after = self._now + RECONCILE_SECONDS

    def _looks(self, commit: Commit | None) -> bool:
        """Tell whether to ask the ledger if work waits: not while a commit may tell as much."""
        return (
            commit is None
            and self._unrecorded.commit is None
            and self._drain_until is None
            and self._flow.may_begin(self._now)
            and self._outbox.looks(self._now)
        )

    def _on_looked(self, looked: Looked) -> None:
        self._outbox.on_looked(looked.work_waits)

    def _on_wake(self, _: events.Wake) -> None:
        self._outbox.wake()

    # The end, and faults of ours.

    def _on_stop(self, _: events.Stop) -> None:
        if self._drain_until is None:
            self._drain_until = self._now + DRAIN_SECONDS

    def _drain(self, until: float) -> None:
        """Finish the mails under way; what is not answered in time is in doubt."""
        for connection in self._connections.busy if self._now >= until else ():
            if connection.phase is Phase.STARTED and connection.mail:
                log.warning("no answer before the end, in doubt: %s", connection.mail.claim.row)
            self._end(connection, "the worker stopped before the relay answered")
        for connection in self._connections.free:
            self._quit(connection)
        self._release_claimed()
        if self._record_until is None and not self._connections.busy:
            self._record_until = self._now + LAST_RECORD_SECONDS

    def _on_fault(self, fault: events.Fault) -> None:
        self._starting = []
        self._connections.opening = fault.opening
        for connection in self._connections:
            self._take_back_dot(connection)
            # If the answer is still to come, it is waited for: without it the mail would be in doubt.
            if connection.phase is not Phase.STARTED or connection.id not in fault.dotted:
                self._end(connection, "the send loop failed")
            elif connection.next_mail is not None:
                # Nobody knows whether it has begun, so nothing can follow on this connection.
                self._put_back(connection.next_mail, FAULT_WAIT_SECONDS)
                connection.next_mail, connection.is_leaving = None, True
        self._outbox.on_database_failed()
        # What fails may be the next commit.
        self._commit_after = self._now + DATABASE_PAUSE_SECONDS
        self._reconcile_later()

    def _wait_seconds(self) -> float:
        """Return in how many seconds the next step is due, if nothing happens before."""
        if self._unrecorded.commit is not None:
            return LOOK_SECONDS
        pause = max(0.0, max(self._gather_until or 0.0, self._commit_after) - self._now)
        if self._unrecorded or (self._connections.awaiting_start and self._moment.is_alive):
            return pause
        if not (self._may_claim and self._is_in_need):
            return LOOK_SECONDS
        wait = self._outbox.wait_seconds(self._flow.allowed, self._now)
        return max(pause, wait)


def _attempt(mail: OutgoingMail) -> Attempt:
    return Attempt(mail.claim.row, mail.claim.digest_id, mail.compiled.sender_id)
