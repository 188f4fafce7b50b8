"""A world around the owner of what is in flight: a relay, a ledger and clocks, all in plain Python.

It does what the send loop does, and after every step checks what must hold (see `World._judge`). What the
relay, the database, the clocks and the staff do is decided by the tests.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import AttemptResult, Claim, RowId
from mailer.message.content import Content
from mailer.models import Delivery, DeliveryStatus, DigestStatus, Notice
from mailer.sending.compiled_content import CompiledContent
from mailer.sending.composer import OutgoingMail, Unsendable
from mailer.sending.config import SendConfig
from mailer.sending.counters import Counters
from mailer.sending.flow_control.attempt import sender_id
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.in_flight import events
from mailer.sending.in_flight.attempt_results import Attempts
from mailer.sending.in_flight.commit import Claimed, Commit, CommitFailed, Committed, Looked
from mailer.sending.in_flight.owner import (
    DRAIN_SECONDS,
    LAST_RECORD_SECONDS,
    RECONCILE_SECONDS,
    InFlight,
)
from mailer.sending.smtp.connection import RelayConfig
from mailer.sending.smtp.events import Answered, Closed, Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost, Unopened
from tests.unit.sending.in_flight.ledger_model import Ledger, Row
from tests.unit.sending.in_flight.relay_model import Relay, Wire

BEGINNING = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
LEASE_SECONDS = 60.0
PLAN = RetryPlan((timedelta(seconds=30), timedelta(minutes=2)), timedelta(days=10))
UNOPENED = (
    Unopened(Step.CONNECT, Lost.DROP, "refused"),
    Unopened(Step.CONNECT, Lost.TIMEOUT, Lost.TIMEOUT),
    Unopened(Step.GREETING, Reply(421, "4.7.0 too many"), "too many"),
    Unopened(Step.GREETING, Reply(554, "5.7.1 go away"), "go away"),
    Unopened(Step.AUTH, Reply(535, "5.7.8 password"), "password"),
)
CLAIMED_SECONDS = 3.0
"""Within so long a sender without mails claims what waits, if the database answers."""

MOST_TURNS = 1000
"""So many turns while everything behaves are enough for every mail of a test."""


class OurFault(Exception):
    """A fault of ours, which ends a turn half way."""


@dataclass
class UnderWay:
    """A commit that was begun, or its claim alone.

    Attributes:
        worker: under which it was begun.
        records: whether it does all but the claim.
        claims: whether it does the claim.
        is_made: whether the server has done it. The rest is then known.
    """

    commit: Commit
    worker: int
    records: bool = True
    claims: bool = True
    is_made: bool = False
    granted: frozenset[RowId] = frozenset()
    claimed: list[Claim] = field(default_factory=list)
    more_waits: bool = False


class World:
    """One sender after the other, and all around them.

    Args:
        rows: for each mail the number of its digest; 0: it is a notice.
        pipelines: whether the relay offers that.
        claims_apart: whether a plain commit's claim returns apart from it.
    """

    def __init__(
        self,
        rows: Sequence[int],
        *,
        connections: int,
        resend: bool,
        pipelines: bool,
        per: int = 100,
        claims_apart: bool = False,
    ) -> None:
        self.config = SendConfig(
            RelayConfig("relay", 25, "news.example.com"),
            PLAN,
            connections=connections,
            messages_per_connection=per,
            resend=resend,
            lease_seconds=LEASE_SECONDS,
        )
        self.ledger = Ledger({}, {}, resend, PLAN)
        for number, digest in enumerate(rows, 1):
            row_id = RowId(Delivery if digest else Notice, number)
            self.ledger.rows[row_id] = Row(row_id, digest or None, BEGINNING)
            if digest:
                self.ledger.digests[digest] = DigestStatus.SENDING
        self.relay = Relay()
        self.pipelines = pipelines
        self.monotonic, self.wall = 1000.0, BEGINNING
        self.unsendable: set[int] = set()
        # The database.
        self.is_down, self.is_slow, self.is_unready = False, False, False
        self.claims_apart, self.is_claim_slow, self.claims_first = claims_apart, False, False
        self.under_way: UnderWay | None = None
        self.claiming: UnderWay | None = None
        # Closed by us with bytes on their way: the relay may still read them.
        self.ghosts: list[Wire] = []
        self.clock_was_set = False
        self.started_too_late: set[RowId] = set()
        self._random = random.Random(1)
        self._workers = self._numbers = 0
        self.owner: InFlight | None = None
        self.fault_after: int | None = None
        self.is_broken = False
        # Commits and claims that were given up, and until when the server may still make them.
        self.belated: list[tuple[UnderWay, float]] = []
        self.start()

    # The process.

    def start(self) -> None:
        """A new process begins to send."""
        self.wires: dict[int, Wire] = {}
        self.opening = 0
        self.happened: list[events.SendEvent] = []
        self.wait_seconds = 0.0
        self.is_stopped, self.done_by = False, 0.0
        self._failed = self._reconciled = False
        self._held: list[OutgoingMail] = []
        self._granted: set[int] = set()
        self._seen: list[AttemptResult] = []
        self._recorded: list[AttemptResult] = []
        self._answered: list[tuple[OutgoingMail, bool, DeliveryStatus | None]] = []
        self.register()
        attempts = Attempts(
            PLAN,
            resend=self.config.resend,
            began=self.moment,
            random=self._random.random,
            counts=Counters(),
        )
        flow = FlowControl(self.config.connections, self._random.random)
        self.owner = InFlight(self.config, attempts, flow)

    def register(self) -> None:
        """The heartbeat gets a new number, under which others see that it lives."""
        self._workers += 1
        self.renewed = self.monotonic
        self.ledger.clamp(self.wall)

    @property
    def worker(self) -> int:
        """The present number of the worker."""
        return self._workers

    @property
    def moment(self) -> events.Moment:
        is_alive = self.monotonic - self.renewed < LEASE_SECONDS
        return events.Moment(self.wall, self.monotonic, is_alive, self.worker)

    def beat(self) -> None:
        """The heartbeat succeeds; that of a worker that others considered dead gets a new number."""
        if self.clock_was_set:
            self.clock_was_set = False
            self.ledger.clamp(self.wall)
            self.happened.append(events.Wake())
        if self.worker in self.ledger.stopped:
            self.register()
        self.renewed = self.monotonic

    def others_look(self) -> None:
        """Another worker takes over from those that are silent or have stopped."""
        silent = set(range(1, self.worker)) | self.ledger.stopped
        if self.owner is None or not self.moment.is_alive:
            silent.add(self.worker)
        self.ledger.take_over(silent, self.wall)

    def another_sends(self, number: int) -> None:
        """Another worker sends a mail that waits, from claim to result."""
        waiting = [
            row for row in self.ledger.rows.values() if self.ledger.may_claim(row, self.wall)
        ]
        if waiting:
            row = waiting[number % len(waiting)]
            row.attempts += 1
            row.status, row.worker = DeliveryStatus.SENT, 0
            self.relay.owned[row.id.id] += 1

    def stop(self) -> None:
        """SIGTERM."""
        if not self.is_stopped:
            self.is_stopped = True
            self.done_by = self.monotonic + DRAIN_SECONDS + LAST_RECORD_SECONDS + 1

    def kill(self) -> None:
        """The process ends at once, whatever it was doing."""
        for number in list(self.wires):
            self._close(number)
        self._give_up()
        self.owner = None

    def _end(self) -> None:
        assert self.owner is not None
        unrecorded = self.owner.unrecorded
        if not self.is_down:
            self.ledger.release_all(self.worker)
            if not unrecorded:
                held = [row for row in self.ledger.rows.values() if row.worker == self.worker]
                assert not any(
                    row.status in (DeliveryStatus.CLAIMED, DeliveryStatus.SENDING) for row in held
                ), "a sender ended in order and left a row behind"
        self.kill()

    # The loop.

    def turn(self, *, stalled: float = 0.0) -> None:
        """What the loop does when something has happened, until nothing follows from that.

        Args:
            stalled: seconds between the first step and what is done about it.
        """
        if self.owner is None:
            return
        happened, self.happened = self.happened, []
        if self.is_stopped:
            happened.insert(0, events.Stop())
        try:
            self._rest(happened, stalled)
        except OurFault:
            self.fault_after = None
            self._recover()
        except AssertionError:
            self.is_broken = True
            raise
        if self.owner.is_done:
            assert self.is_stopped, "it is done although nobody has stopped it"
            self._end()
        elif self.is_stopped:
            assert self.monotonic <= self.done_by, "the drain does not end in time"

    def _rest(self, happened: list[events.SendEvent], stalled: float = 0.0) -> None:
        assert self.owner is not None
        for _ in range(50):
            moment = self.moment
            actions = self.owner.step(happened, moment)
            self.wait_seconds = actions.wait_seconds
            self._judge(actions, happened, moment)
            self.sleep(stalled)
            stalled = 0.0
            is_idle = not (happened or actions.writes or actions.commit or actions.open)
            assert not is_idle or actions.look or actions.wait_seconds > 0, "it turns for nothing"
            happened = self._do(actions)
            if not happened:
                return
        raise AssertionError("the owner does not come to rest")

    def _do(self, actions: events.Actions) -> list[events.SendEvent]:
        out: list[events.SendEvent] = []
        withheld: set[int] = set()
        for write in actions.writes:
            self._maybe_fail()
            if write.connection not in withheld:
                self._write(write, out, withheld)
        self._maybe_fail()
        self.opening += actions.open
        if actions.look:
            assert self.under_way is None, "a commit may tell as much"
            assert self.claiming is None, "a claim may tell as much"
            out.append(
                CommitFailed("down") if self.is_down else Looked(self.ledger.waits(self.wall))
            )
        if actions.commit is not None:
            self._begin_commit(actions.commit)
            out += self.happened
            self.happened = []
        return out

    def _begin_commit(self, commit: Commit) -> None:
        assert self.under_way is None, "two commits at a time"
        assert not (commit.claims and self.claiming), "two claims at a time"
        assert commit.known is None or not self.claiming, "what is being claimed is released"
        is_apart = self.claims_apart and commit.is_plain and commit.claims > 0
        self.under_way = UnderWay(commit, self.worker, claims=not is_apart)
        if is_apart:
            self.claiming = UnderWay(commit, self.worker, records=False)
        if self.is_down:
            self.fail_commit()
            return
        if is_apart and self.claims_first and not self.is_claim_slow:
            self.return_claim()
        if not self.is_slow:
            self.return_commit()
        if is_apart and not self.is_claim_slow:
            self.return_claim()

    def _maybe_fail(self) -> None:
        if self.fault_after is not None:
            self.fault_after -= 1
            if self.fault_after < 0:
                raise OurFault

    def _recover(self) -> None:
        assert self.owner is not None
        self._give_up()
        self._failed = True
        dotted = {n for n, wire in self.wires.items() if wire.talk.step is Step.DOT}
        self._rest([events.Fault(frozenset(dotted), self.opening)])
        for number in self.wires.keys() - self.owner.connections:
            self._close(number)

    def _write(self, write: events.Write, out: list[events.SendEvent], withheld: set[int]) -> None:
        wire = self.wires[write.connection]
        match write:
            case events.Begin(number, mail):
                step = wire.talk.step
                assert step is None or (wire.talk.pipelines and step is Step.DOT), "out of turn"
                if mail.claim.row.id in self.unsendable:
                    self.relay.refused.add(mail.claim.row.id)
                    out.append(events.NotComposed(number, Unsendable("it has no subject")))
                else:
                    wire.begin(mail)
            case events.FinalDot(number) if not self.moment.is_alive:
                out.append(events.DotWithheld(number))
                withheld.add(number)
            case events.FinalDot():
                assert wire.talk.step is Step.BLOCK, "a final dot without a body"
                assert wire.started is None, "two mails are started on one connection"
                mail = wire.mails[0]
                assert id(mail) in self._granted, "a final dot of which no commit said that it may"
                wire.started = mail
                wire.talk.finish()
            case events.Quit():
                assert wire.talk.step is None, "QUIT within a mail"
                wire.talk.quit()
            case events.Close(number):
                self._close(number)
                return
        wire.flush()

    def _close(self, number: int) -> None:
        wire = self.wires.pop(number)
        wire.is_over = True
        if wire.to_relay and not wire.is_cut:
            self.ghosts.append(wire)

    # What comes back.

    def opens(self, failure: Unopened | None = None) -> None:
        """A connection that was being opened is open, or could not be opened."""
        if not self.opening:
            return
        self.opening -= 1
        if failure is not None:
            self.happened.append(failure)
            return
        self._numbers += 1
        self.wires[self._numbers] = Wire.open(self._numbers, self.relay, pipelines=self.pipelines)
        self.happened.append(events.Opened(self._numbers, self.pipelines))

    def receives(self, wire: Wire, *, late: bool = False) -> None:
        """What the relay has said on a connection is read, or it has said nothing for too long."""
        if wire.is_over:
            return
        for event in wire.late() if late else wire.receive():
            self.happened.append(events.Happened(wire.number, event))
            if isinstance(event, Answered):
                mail = wire.mails.pop(0)
                is_sent = event.step is Step.DOT and event.reply.accepted
                status = DeliveryStatus.SENT if is_sent else None
                self._answered.append((mail, wire.started is mail, status))
                wire.started = None
            elif isinstance(event, Closed) and wire.mails:
                mail = wire.mails[0]
                status = DeliveryStatus.UNKNOWN if wire.started is mail else None
                self._answered.append((mail, wire.started is mail, status))
                wire.mails.clear()
                wire.started = None

    def make_commit(self) -> None:
        """The commit under way takes effect; that is not known here yet."""
        if self.under_way is not None:
            self._make(self.under_way)

    def make_claim(self) -> None:
        """The claim under way takes effect; that is not known here yet."""
        if self.claiming is not None:
            self._make(self.claiming)

    def _make(self, one: UnderWay) -> None:
        if one.is_made:
            return
        one.is_made = True
        if one.records:
            one.granted = self.ledger.record(one.commit, one.worker, self.wall)
            self.started_too_late -= one.granted
        # A final dot may be on its way for each row that is being sent.
        ours = [
            row
            for row in self.ledger.rows.values()
            if row.status is DeliveryStatus.SENDING
            and row.worker == self.worker
            and row.id not in self.started_too_late
        ]
        assert len(ours) <= self.config.connections, "more mails are started than connections open"
        if one.claims:
            one.claimed, one.more_waits = self.ledger.claim(one.commit, one.worker, self.wall)

    def return_commit(self) -> None:
        """The commit under way is made and returns."""
        self.make_commit()
        one, self.under_way = self.under_way, None
        if one is None:
            return
        has_claimed = one.claims and one.commit.claims > 0
        if has_claimed and not self.is_unready:
            self._on_claimed(one)
        self._on_returned(one)
        if has_claimed and self.is_unready:
            self._on_claimed(one)

    def return_claim(self) -> None:
        """The claim under way is made and returns."""
        self.make_claim()
        one, self.claiming = self.claiming, None
        if one is not None:
            self._on_claimed(one)

    def fail_commit(self) -> None:
        """What is under way fails, whether or not it was made."""
        if self.under_way is not None or self.claiming is not None:
            self._give_up()
            self.happened.append(CommitFailed("down"))

    def _give_up(self) -> None:
        """Forget the commit and the claim under way. Whether they are made is not known."""
        for one in (self.under_way, self.claiming):
            if one is not None and not one.is_made:
                self.belated.append((one, self.monotonic + RECONCILE_SECONDS))
        self.under_way = self.claiming = None

    def make_belated(self, number: int) -> None:
        """What was given up is made after all: the server had begun with it."""
        one, until = self.belated.pop(number % len(self.belated))
        if self.monotonic < until:
            self._make(one)
            # No final dot is written for what it starts.
            self.started_too_late |= one.granted

    def _on_returned(self, one: UnderWay) -> None:
        commit = one.commit
        self.happened.append(Committed(one.granted))
        for row_id, worker in _ended(commit, one.worker):
            # The oldest of that worker: a row may have been claimed anew.
            held = [mail for mail in self._held if mail.claim.row == row_id]
            ours = [mail for mail in held if mail.claim.worker_id == worker]
            mail = next(iter(ours or held), None)
            assert mail is not None or row_id, "a row ends that was not in hand"
            if mail is not None:
                self._held.remove(mail)
        self._reconciled = commit.known is not None
        self._recorded += commit.results
        self._seen = [one for one in self._seen if not any(one is done for done in commit.results)]
        for wire in self.wires.values():
            if wire.mails and wire.mails[0].claim.row in one.granted and not wire.started:
                self._granted.add(id(wire.mails[0]))

    def _on_claimed(self, one: UnderWay) -> None:
        """What was claimed is told, or that it cannot be made ready."""
        mails = [outgoing(claim) for claim in one.claimed]
        if not self.is_unready:
            self.happened.append(Claimed(mails, one.more_waits))
        elif mails and self.under_way is None:
            self.happened.append(Claimed(unready=[claim.row for claim in one.claimed]))
        else:
            # Nothing is to be released, or what is being recorded is given up too.
            self._give_up()
            self.happened.append(CommitFailed("down"))
            return
        # A row that others had released is claimed anew by the same worker: that is one claim still.
        anew = {(mail.claim.row, mail.claim.worker_id) for mail in mails}
        anew -= set(_ended(one.commit, one.worker))
        held = [mail for mail in self._held if (mail.claim.row, mail.claim.worker_id) not in anew]
        self._held = held + mails

    # What must hold.

    def _judge(
        self,
        actions: events.Actions,
        happened: Sequence[events.SendEvent],
        moment: events.Moment,
    ) -> None:
        owner = self.owner
        assert owner is not None
        for event in happened:
            if isinstance(event, CommitFailed):
                self._failed = True
            elif isinstance(event, Committed):
                self._failed = self._failed and not self._reconciled
            elif isinstance(event, Claimed) and event.unready:
                self._failed = True
        begun = [write for write in actions.writes if isinstance(write, events.Begin)]
        dotted = [write for write in actions.writes if isinstance(write, events.FinalDot)]
        # 1 and 5. `_write` checks that each final dot was granted.
        assert moment.is_alive or not dotted, "a final dot although the heartbeat is dead"
        has_returned = any(isinstance(event, Committed) for event in happened)
        assert not (self._failed and begun), "a mail begins after a commit that failed"
        assert has_returned or not dotted, "a final dot although no commit has returned"
        # 7.
        if self.is_stopped:
            assert not begun, "a mail begins after a stop"
            assert not actions.open, "a connection is opened after a stop"
        self._judge_answers(owner)
        self._judge_places(owner)
        self._judge_claimed(owner)
        if actions.commit is not None:
            self._judge_commit(actions.commit, dotted, moment)

    def _judge_answers(self, owner: InFlight) -> None:
        # 6, and the beginning of 2: what is answered has its result at once.
        for mail, was_started, status in self._answered:
            results = [one.status for one in owner.unrecorded if one.row == mail.claim.row]
            if status is not None:
                assert status in results, f"no result {status} of {mail.claim.row}"
            elif not was_started:
                assert DeliveryStatus.UNKNOWN not in results, "in doubt although it was not started"
        self._answered.clear()

    def _judge_places(self, owner: InFlight) -> None:
        # 4. Everything that was claimed is in one place: in hand, or to be recorded.
        in_hand = Counter([*owner._connections.rows, *owner._outbox.rows])
        notes = owner._unrecorded
        ended = Counter([one.row for one in notes.results] + notes.released)
        for row_id, _ in notes.postponed:
            # Of what may have been started a result says the same, in case it was.
            if not any(one.row == row_id and one.step == Step.BLOCK for one in notes.results):
                ended[row_id] += 1
        # What was claimed by a worker that others considered dead is theirs: it may be forgotten.
        found = in_hand + ended
        for mail in list(self._held):
            if mail.claim.worker_id == self.worker:
                continue
            if found[mail.claim.row] < sum(one.claim.row == mail.claim.row for one in self._held):
                self._held.remove(mail)
        held = Counter(mail.claim.row for mail in self._held)
        assert in_hand + ended == held, f"claimed {held}, in hand {in_hand}, ended {ended}"

    def _judge_claimed(self, owner: InFlight) -> None:
        # 4. What is claimed and not known to the owner is being told, or the owner means to release it.
        known = {mail.claim.row for mail in self._held}
        for one in (self.under_way, self.claiming):
            known |= {claim.row for claim in one.claimed} if one is not None else set()
        stray = [
            row.id
            for row in self.ledger.rows.values()
            if row.status is DeliveryStatus.CLAIMED
            and row.worker == self.worker
            and row.id not in known
        ]
        is_to_be_released = owner._reconcile_after is not None or owner._unrecorded.must_reconcile
        assert is_to_be_released or not stray, f"nobody knows that {stray} are claimed"

    def _judge_commit(
        self, commit: Commit, dotted: Sequence[events.FinalDot], moment: events.Moment
    ) -> None:
        # 2.
        for result in self._seen:
            assert any(result is one for one in commit.results), f"{result} is left out"
        for result in commit.results:
            assert not any(result is one for one in self._recorded), f"{result} comes again"
        self._seen = list(commit.results)
        assert not set(commit.starts) & {one.row for one in commit.results}
        # 3 and 1.
        assert len(commit.starts) == len(set(commit.starts)) <= len(self.wires)
        assert moment.is_alive or not (commit.starts or commit.claims)
        # 5.
        assert commit.known is not None or not self._failed, "what nobody knows of is not released"
        if commit.known is not None:
            given_back = {*commit.released, *(row_id for row_id, _ in commit.postponed)}
            held = {mail.claim.row for mail in self._held} - given_back
            assert held <= commit.known, "a mail in hand is released"
        # 7.
        assert not (self.is_stopped and commit.claims), "a claim after a stop"
        # Nothing of what is to be paused starts, or is claimed before it is.
        assert not (commit.pauses and commit.claims)
        started = [
            *commit.starts,
            *(self.wires[dot.connection].mails[0].claim.row for dot in dotted),
        ]
        for pause in commit.pauses:
            for row_id in started:
                assert not _covers(pause, self.ledger.rows[row_id]), "a mail starts in that turn"

    # A world in which everything behaves.

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.monotonic += seconds
        self.wall += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Let the process do nothing for so long, which is not its fault."""
        self.pass_time(seconds)
        self.done_by += seconds

    def behave(self, *, database: bool = True) -> None:
        """One turn in which relay and heartbeat do what they should, and the database too."""
        if database:
            self.let_database_answer()
        self.beat()
        while self.opening:
            self.opens()
        for wire in list(self.wires.values()):
            wire.hear()
            self.receives(wire)
        has_come = bool(self.happened)
        self.turn()
        if not (has_come or self.happened):
            self.pass_time(max(self.wait_seconds, 1.0))

    def let_database_answer(self) -> None:
        """The database does what it should, and answers what it has been asked."""
        self.is_down = self.is_slow = self.is_unready = self.is_claim_slow = False
        if self.claims_first:
            self.return_claim()
        self.return_commit()
        self.return_claim()

    def wait_for_starts(self) -> bool:
        """Let all go well until a commit with starts is under way. Return whether one is."""
        for _ in range(12):
            if self.under_way is not None and self.under_way.commit.starts:
                return True
            self.let_database_answer()
            self.is_slow = self.is_claim_slow = True
            self.behave(database=False)
        return False

    def wait_for_claiming(self) -> bool:
        """Let all go well until a claim is under way apart. Return whether one is."""
        for _ in range(12):
            if self.claiming is not None:
                return True
            self.let_database_answer()
            self.is_claim_slow = True
            self.behave(database=False)
        return False

    def wait_for_claim(self) -> None:
        """Let the database answer, and the relay be silent: what waits must be claimed soon."""
        self.let_database_answer()
        self.turn()
        before, until = self.ledger.claimed, self.monotonic + CLAIMED_SECONDS
        while self.ledger.claimed == before and self._must_claim():
            assert self.monotonic < until, "what waits is not claimed"
            self.pass_time(max(self.wait_seconds, 0.001))
            self.beat()
            self.turn()

    def _must_claim(self) -> bool:
        """Whether the sender is in need of mails, may claim them, and some wait."""
        owner = self.owner
        return (
            owner is not None
            and not self.is_stopped
            and owner._flow.may_begin(self.monotonic)
            and owner._is_in_need
            and self.ledger.waits(self.wall, owner._flow.paused_digests(self.monotonic))
        )

    def finish(self) -> None:
        """Let everything behave until nothing is left to be sent, and staff resume what is paused."""
        for ghost in self.ghosts:
            ghost.hear()
        for _ in range(MOST_TURNS):
            if not self.ledger_unfinished():
                return
            if self.owner is None:
                self.start()
            self.ledger.is_on = True
            for digest, status in self.ledger.digests.items():
                if status is DigestStatus.PAUSED:
                    self.ledger.digests[digest] = DigestStatus.SENDING
            self.others_look()
            # What was claimed when the clock was set back is due too late when it is released.
            self.ledger.clamp(self.wall)
            self.behave()
        raise AssertionError(f"not finished: {self.ledger_unfinished()}")

    def ledger_unfinished(self) -> list[Row]:
        """Rows that are still to be sent, or on their way."""
        waiting = (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)
        return [
            row
            for row in self.ledger.unfinished
            if not (
                row.digest is not None
                and self.ledger.digests[row.digest] is DigestStatus.CANCELLED
                and row.status in waiting
            )
        ]

    def judge_the_end(self) -> None:
        """Nobody is lost, and what came twice was in doubt before."""
        for row in self.ledger.rows.values():
            owned = self.relay.owned[row.id.id]
            assert owned <= 1 + row.doubts, f"{row} came {owned} times"
            if row.status is DeliveryStatus.SENT:
                assert owned, f"{row} is lost"
            if row.status in (DeliveryStatus.FAILED, DeliveryStatus.SKIPPED):
                assert not owned, f"{row} came all the same"
            if row.status is DeliveryStatus.FAILED:
                assert row.id.id in self.relay.refused, f"{row} failed for nothing"


def _ended(commit: Commit, worker: int) -> list[tuple[RowId, int]]:
    """The rows that a commit of this worker ends, and whose claim of each it was."""
    ended = [(result.row, result.worker_id) for result in commit.results]
    started = {result.row for result in commit.results if result.step == Step.BLOCK}
    given_back = [row for row, _ in commit.postponed if row not in started]
    return ended + [(row, worker) for row in (*commit.released, *given_back)]


def _covers(pause: Pause, row: Row) -> bool:
    return pause.digest_id is None or pause.refused is not None or pause.digest_id == row.digest


def outgoing(claim: Claim) -> OutgoingMail:
    """The mail of a claim, from the sender of its digest."""
    digest = claim.digest_id or 0
    address = f"news@d{digest}.example"
    sender = f"d{digest}-{claim.row.id}@d{digest}.example"
    content = Content("en", "News", address, None, "News", "<p>News</p>", "News", "XK")
    compiled = CompiledContent(content, sender=sender, sender_id=sender_id(address, sender))
    return OutgoingMail(
        claim, compiled, f"reader{claim.row.id}@example.com", claim.first_attempt_at
    )
