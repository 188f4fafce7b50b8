"""Whatever relay, database, clocks and staff do: what the owner of what is in flight promises holds.

`World` checks that after every step. In the end everything behaves again; then every mail must be finished,
nobody lost, and what came twice must have been in doubt.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mailer.models import DigestStatus
from tests.unit.sending.in_flight.relay_model import CUT, MOODS, OK
from tests.unit.sending.in_flight.world import UNOPENED, World

ANSWERS = st.lists(st.sampled_from([OK, OK, OK, OK, *MOODS]), max_size=5)
SECONDS = st.sampled_from([0.05, 0.6, 2.0, 12.0, 40.0])
NUMBERS = st.integers(0, 11)
MISFORTUNES = (
    "lease_runs_out",
    "is_taken_over",
    "connections_are_cut",
    "relay_answers_all",
    "our_fault",
    "stop",
    "cancel",
    "pause_everything",
    "turns",
    "claim_is_made",
    "claim_returns",
    "claim_is_unready",
)
DEEDS = (
    "pause",
    "resume",
    "cancel",
    "pause_everything",
    "reader_leaves",
    "mail_cannot_be_made",
    "another_worker_sends",
    "our_fault",
    "stop",
    "kill",
)


class Sending(RuleBasedStateMachine):
    """A sender in a world that misbehaves."""

    world: World

    @initialize(
        rows=st.lists(st.sampled_from([1, 1, 1, 2, 2, 0]), min_size=1, max_size=20),
        connections=st.integers(1, 3),
        resend=st.booleans(),
        pipelines=st.booleans(),
        per=st.sampled_from([1, 2, 100]),
        claims=st.sampled_from(["together", "apart", "apart and slow"]),
    )
    def begin(
        self,
        rows: list[int],
        connections: int,
        resend: bool,
        pipelines: bool,
        per: int,
        claims: str,
    ) -> None:
        self.world = World(
            rows,
            connections=connections,
            resend=resend,
            pipelines=pipelines,
            per=per,
            claims_apart=claims != "together",
        )
        self.world.is_claim_slow = claims == "apart and slow"
        self.world.turn()

    # All goes well.

    @rule(turns=st.integers(1, 4), database=st.booleans())
    def all_goes_well(self, turns: int, database: bool) -> None:
        for _ in range(turns):
            self.world.behave(database=database)

    @rule(stalled=st.sampled_from([0.0, 0.0, 0.0, 30.0, 61.0]))
    def turn(self, stalled: float) -> None:
        self.world.turn(stalled=stalled)

    # What matters most is what happens while starts are being committed, and chance seldom comes there.

    @rule(
        misfortunes=st.lists(st.sampled_from(MISFORTUNES), max_size=3),
        ends=st.sampled_from(["returns", "returns", "fails", "fails although it was made"]),
    )
    def starts_are_committed(self, misfortunes: list[str], ends: str) -> None:
        world = self.world
        if not world.wait_for_starts():
            return
        for misfortune in misfortunes:
            getattr(self, f"_{misfortune}")(1)
        if ends == "fails although it was made":
            world.make_commit()
        if ends == "returns":
            world.return_commit()
        else:
            world.fail_commit()
        world.turn()

    def _lease_runs_out(self, _: int) -> None:
        self.world.sleep(61.0)

    def _is_taken_over(self, _: int) -> None:
        self.world.sleep(61.0)
        self.world.others_look()
        self.world.beat()

    def _connections_are_cut(self, _: int) -> None:
        for wire in list(self.world.wires.values()):
            wire.hear([CUT])
            wire.is_cut = True
            self.world.receives(wire)

    def _relay_answers_all(self, _: int) -> None:
        for wire in list(self.world.wires.values()):
            wire.hear()
            self.world.receives(wire)

    def _turns(self, _: int) -> None:
        self.world.turn()

    @rule(is_silent=st.booleans())
    def is_stopped_and_drains(self, is_silent: bool) -> None:
        world = self.world
        world.stop()
        while world.owner is not None and world.monotonic <= world.done_by:
            world.beat()
            if not is_silent:
                self._relay_answers_all(0)
            world.turn()
            world.pass_time(0.5)

    # The relay.

    @rule(
        number=NUMBERS,
        answers=ANSWERS,
        reads=st.booleans(),
        late=st.sampled_from([False, False, False, True]),
    )
    def relay_answers(self, number: int, answers: list[int], reads: bool, late: bool) -> None:
        wires = list(self.world.wires.values())
        if not wires:
            return
        wire = wires[number % len(wires)]
        wire.hear(answers)
        if late and not wire.to_us and wire.talk.step is not None:
            self.world.receives(wire, late=True)
        elif reads:
            self.world.receives(wire)

    @precondition(lambda self: self.world.opening)
    @rule(failure=st.sampled_from([None, None, None, *UNOPENED]))
    def connection_opens(self, failure: object) -> None:
        self.world.opens(failure)

    @rule(
        row=NUMBERS,
        verb=st.sampled_from(["MAIL", "RCPT"]),
        code=st.integers(0, 4),
        is_on=st.booleans(),
    )
    def relay_has_something_against(self, row: int, verb: str, code: int, is_on: bool) -> None:
        if not is_on:
            self.world.relay.always.clear()
        elif verb == "MAIL":
            self.world.relay.always[verb, f"d{row % 3}-"] = code
        else:
            # This reader, or most of them.
            for reader in [row] if row % 2 else range(1, row):
                self.world.relay.always[verb, f"reader{reader}@"] = code

    @precondition(lambda self: self.world.ghosts)
    @rule(reads=st.booleans())
    def relay_reads_what_was_on_its_way(self, reads: bool) -> None:
        ghost = self.world.ghosts.pop()
        if reads:
            ghost.hear()

    # The database.

    @rule(
        is_slow=st.booleans(),
        is_claim_slow=st.booleans(),
        claims_first=st.booleans(),
        is_down=st.booleans(),
        is_unready=st.booleans(),
    )
    def database_changes(
        self,
        is_slow: bool,
        is_claim_slow: bool,
        claims_first: bool,
        is_down: bool,
        is_unready: bool,
    ) -> None:
        world = self.world
        world.is_slow, world.is_claim_slow, world.claims_first = (
            is_slow,
            is_claim_slow,
            claims_first,
        )
        world.is_down, world.is_unready = is_down, is_unready

    @rule()
    def what_waits_is_claimed_soon(self) -> None:
        self.world.wait_for_claim()

    @precondition(lambda self: self.world.under_way)
    @rule()
    def commit_is_made(self) -> None:
        self.world.make_commit()

    @precondition(lambda self: self.world.under_way)
    @rule(is_made=st.booleans(), fails=st.booleans())
    def commit_ends(self, is_made: bool, fails: bool) -> None:
        if is_made:
            self.world.make_commit()
        if fails:
            self.world.fail_commit()
        else:
            self.world.return_commit()

    @precondition(lambda self: self.world.claiming)
    @rule(is_unready=st.booleans())
    def claim_ends(self, is_unready: bool) -> None:
        self.world.is_unready = is_unready
        self.world.return_claim()

    # While a claim is under way commits are begun and return, and chance seldom comes there either.

    @precondition(lambda self: self.world.claims_apart)
    @rule(
        turns=st.integers(0, 4),
        ends=st.sampled_from(["returns", "is unready", "fails", "fails although it was made", ""]),
    )
    def claim_takes_long(self, turns: int, ends: str) -> None:
        world = self.world
        if not world.wait_for_claiming():
            return
        for _ in range(turns):
            world.behave(database=False)
        world.is_unready = ends == "is unready"
        if ends in ("returns", "is unready"):
            world.return_claim()
        elif ends:
            if ends != "fails":
                world.make_claim()
            world.fail_commit()
        world.turn()

    def _claim_is_made(self, _: int) -> None:
        self.world.make_claim()

    def _claim_returns(self, _: int) -> None:
        self.world.return_claim()

    def _claim_is_unready(self, _: int) -> None:
        self.world.is_unready = True
        self.world.return_claim()

    @precondition(lambda self: self.world.claiming)
    @rule(is_made=st.booleans())
    def claim_fails(self, is_made: bool) -> None:
        if is_made:
            self.world.make_claim()
        self.world.fail_commit()

    @precondition(lambda self: self.world.belated)
    @rule(number=NUMBERS)
    def what_failed_is_made_after_all(self, number: int) -> None:
        self.world.make_belated(number)

    # The clocks, and the heartbeat.

    @rule(seconds=SECONDS, beats=st.booleans())
    def time_passes(self, seconds: float, beats: bool) -> None:
        world = self.world
        while seconds > 0 and world.owner is not None:
            step = min(seconds, max(world.wait_seconds, 0.001))
            world.pass_time(step)
            seconds -= step
            if beats:
                world.beat()
            world.turn()
        world.pass_time(max(0.0, seconds))

    @rule(seconds=SECONDS)
    def machine_sleeps(self, seconds: float) -> None:
        self.world.sleep(seconds)

    @rule(hours=st.integers(-900, 900))
    def wall_clock_is_set(self, hours: int) -> None:
        self.world.wall += timedelta(hours=hours)
        self.world.clock_was_set = True

    @rule()
    def heart_beats(self) -> None:
        self.world.beat()

    @rule()
    def others_take_over(self) -> None:
        self.world.others_look()

    # Staff, readers, other workers, and the process.

    @rule(does=st.sampled_from(DEEDS), number=NUMBERS)
    def something_rare(self, does: str, number: int) -> None:
        getattr(self, f"_{does}")(number)

    def _pause(self, number: int) -> None:
        self._staff_decide(number, DigestStatus.PAUSED)

    def _resume(self, number: int) -> None:
        self._staff_decide(number, DigestStatus.SENDING)

    def _cancel(self, number: int) -> None:
        self._staff_decide(number, DigestStatus.CANCELLED)

    def _staff_decide(self, number: int, status: DigestStatus) -> None:
        ledger, digest = self.world.ledger, 1 + number % 2
        if ledger.digests.get(digest) in (DigestStatus.SENDING, DigestStatus.PAUSED):
            if status is DigestStatus.CANCELLED:
                ledger.cancel(digest)
            ledger.digests[digest] = status

    def _pause_everything(self, number: int) -> None:
        self.world.ledger.is_on = number % 2 == 0

    def _reader_leaves(self, number: int) -> None:
        rows = list(self.world.ledger.rows.values())
        rows[number % len(rows)].may_be_mailed = False

    def _mail_cannot_be_made(self, number: int) -> None:
        self.world.unsendable.add(number)

    def _another_worker_sends(self, number: int) -> None:
        self.world.another_sends(number)

    def _our_fault(self, number: int) -> None:
        self.world.fault_after = number % 5

    def _stop(self, _: int) -> None:
        self.world.stop()

    def _kill(self, number: int) -> None:
        if number % 2:
            self.world.make_commit()
        if number % 3:
            self.world.make_claim()
        self.world.kill()

    @precondition(lambda self: self.world.owner is None)
    @rule()
    def start_again(self) -> None:
        self.world.start()
        self.world.turn()

    def teardown(self) -> None:
        if hasattr(self, "world") and not self.world.is_broken:
            self.world.fault_after = None
            self.world.relay.always.clear()
            self.world.finish()
            self.world.judge_the_end()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


TestSending = Sending.TestCase
TestSending.settings = settings(stateful_step_count=60)


@given(
    rows=st.lists(st.sampled_from([1, 2]), min_size=2, max_size=12),
    connections=st.integers(1, 4),
    pipelines=st.booleans(),
    claims_apart=st.booleans(),
    refused=st.one_of(
        st.tuples(st.just("MAIL"), st.just("d1-"), st.sampled_from([0, 1])),
        st.tuples(st.just("RCPT"), st.just("reader1@"), st.sampled_from([0, 1, 3, 4])),
    ),
)
def test_what_the_relay_refuses_of_one_costs_the_others_nothing_but_the_answer(
    rows: list[int],
    connections: int,
    pipelines: bool,
    claims_apart: bool,
    refused: tuple[str, str, int],
) -> None:
    verb, whose, code = refused
    world = World(
        rows,
        connections=connections,
        resend=True,
        pipelines=pipelines,
        claims_apart=claims_apart,
    )
    world.relay.always[verb, whose] = code
    others = [
        row
        for row in world.ledger.rows.values()
        if not (row.digest == 1 if verb == "MAIL" else row.id.id == 1)
    ]
    until = world.monotonic + 60.0
    while world.monotonic < until and any(row.status != "sent" for row in others):
        world.behave()
    assert [(row.status, row.attempts) for row in others] == [("sent", 1)] * len(others)
    assert world.ledger.is_on
