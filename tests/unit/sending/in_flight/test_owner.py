"""The owner of the mails in flight: its invariants, case by case, without a relay, a database or a clock."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailer.ledger.transitions import Claim, RowId
from mailer.message.content import Content
from mailer.models import Delivery, DeliveryStatus, Notice
from mailer.sending.compiled_content import CompiledContent
from mailer.sending.composer import OutgoingMail, Unsendable
from mailer.sending.config import SendConfig
from mailer.sending.counters import Counters
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.in_flight import owner as in_flight
from mailer.sending.in_flight.attempt_results import Attempts
from mailer.sending.in_flight.commit import Claimed, Commit, CommitFailed, Committed, Looked
from mailer.sending.in_flight.events import (
    Actions,
    Begin,
    Close,
    DotWithheld,
    Fault,
    FinalDot,
    Happened,
    Moment,
    NotComposed,
    Opened,
    Quit,
    SendEvent,
    Stop,
)
from mailer.sending.in_flight.outbox import LOOK_SECONDS
from mailer.sending.in_flight.owner import InFlight
from mailer.sending.smtp.connection import RelayConfig
from mailer.sending.smtp.events import Answered, BodyWritten, Closed, Ready, Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost, Unopened

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
OK = Reply(250, ("2.0.0 queued",))
NOT_NOW = Reply(451, ("4.3.0 try again",))
NOBODY_THERE = Reply(550, ("5.1.1 no such user",))
S = DeliveryStatus


def mail(
    number: int, digest_id: int | None = 1, first: datetime = NOW, worker_id: int = 7
) -> OutgoingMail:
    """The mail of row `number`, of a digest or a notice."""
    table = Notice if digest_id is None else Delivery
    content = CompiledContent(Content("en", "", "", None, "", "", "", ""))
    claim = Claim(RowId(table, number), worker_id, 0, first, 0, digest_id)
    return OutgoingMail(claim, content, f"reader{number}@example.com", first)


class Owner:
    """An owner, and what it has said so far."""

    def __init__(self, connections: int = 2, *, pipelines: bool = True, **config: object) -> None:
        plain = SendConfig(
            relay=RelayConfig("127.0.0.1", 25, "news.example"),
            retry=RetryPlan((timedelta(minutes=5),), timedelta(hours=48)),
            connections=connections,
        )
        self.now = 100.0
        self.is_alive = True
        self.worker_id = 7
        self.pipelines = pipelines
        attempts = Attempts(
            plain.retry,
            resend=True,
            began=self.moment,
            random=lambda: 0.5,
            counts=Counters(),
        )
        flow = FlowControl(connections, lambda: 0.5)
        self.flight = InFlight(replace(plain, **config), attempts, flow)  # type: ignore[arg-type]
        self.last = Actions((), None, 0, False, 0.0)
        self.under_way: Commit | None = None

    @property
    def moment(self) -> Moment:
        return Moment(NOW + timedelta(seconds=self.now), self.now, self.is_alive, self.worker_id)

    def step(self, *events: SendEvent) -> Actions:
        if any(isinstance(event, Committed | CommitFailed) for event in events):
            self.under_way = None
        self.last = self.flight.step(events, self.moment)
        assert self.last.commit is None or self.under_way is None
        self.under_way = self.last.commit or self.under_way
        return self.last

    def commit(self) -> Commit:
        """The commit under way."""
        assert self.under_way is not None
        return self.under_way

    def claim(self, *mails: OutgoingMail) -> Actions:
        """Let the commit under way claim these."""
        return self.returned(mails=mails, more_waits=True)

    def grant(self) -> Actions:
        """Let the commit under way grant all of its starts."""
        return self.returned(granted=self.commit().starts, more_waits=True)

    def returned(
        self,
        *,
        granted: Iterable[RowId] = (),
        mails: Sequence[OutgoingMail] = (),
        more_waits: bool = False,
    ) -> Actions:
        """Let the commit under way return, with what it claimed if it was to claim anything."""
        committed = Committed(frozenset(granted))
        if not self.commit().claims:
            assert not mails
            return self.step(committed)
        return self.step(Claimed(mails, more_waits), committed)

    def written(self, *connections: int) -> Actions:
        return self.step(*(Happened(number, BodyWritten()) for number in connections))

    def answered(self, connection: int, step: Step, reply: Reply) -> Actions:
        return self.step(Happened(connection, Answered(step, reply)))

    def closed(self, connection: int, step: Step | None, reason: str = Lost.DROP) -> Actions:
        return self.step(Happened(connection, Closed(step, None, reason)))

    def begun(self, *mails: OutgoingMail, waiting: Sequence[OutgoingMail] = ()) -> "Owner":
        """Mails 1, 2 … have begun on connections 1, 2 …, and others are claimed."""
        self.step()
        self.claim(*mails, *waiting)
        self.step(*(Opened(number, self.pipelines) for number in range(1, len(mails) + 1)))
        assert [write.connection for write in self.last.writes] == list(range(1, len(mails) + 1))
        return self

    def started(self, *mails: OutgoingMail) -> "Owner":
        """The final dots of these mails are sent, and nothing is under way."""
        self.begun(*mails)
        self.quiet()
        self.written(*range(1, len(mails) + 1))
        self.grant()
        assert dots(self.last) == list(range(1, len(mails) + 1))
        self.quiet()
        return self

    def quiet(self) -> None:
        """Let commits return until none is under way."""
        while self.under_way is not None:
            self.returned()


def dots(actions: Actions) -> list[int]:
    return [write.connection for write in actions.writes if isinstance(write, FinalDot)]


def begins(actions: Actions) -> list[tuple[int, int]]:
    return [
        (write.connection, write.mail.claim.row.id)
        for write in actions.writes
        if isinstance(write, Begin)
    ]


def rows(mails: Iterable[OutgoingMail]) -> list[RowId]:
    return [one.claim.row for one in mails]


def test_a_final_dot_waits_for_the_commit_that_grants_it() -> None:
    owner = Owner().begun(mail(1), mail(2))
    owner.quiet()
    assert not dots(owner.written(1))
    assert owner.commit().starts == rows([mail(1)])
    # Meanwhile nothing else is committed: the other start waits for the next.
    assert owner.written(2).commit is None
    actions = owner.grant()
    assert dots(actions) == [1]
    owner.now += in_flight.GATHER_SECONDS
    owner.step()
    assert owner.commit().starts == rows([mail(2)])


def test_what_is_not_granted_is_given_up_and_nothing_of_it_is_in_doubt() -> None:
    owner = Owner().begun(mail(1))
    owner.quiet()
    owner.written(1)
    actions = owner.returned()
    assert list(actions.writes) == [Close(1)]
    assert owner.commit().postponed == ((mail(1).claim.row, 0.0),)
    assert [result.status for result in owner.commit().results] == [S.DEFERRED]


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_worker_that_others_may_consider_dead_starts_and_claims_nothing(is_alive: bool) -> None:
    owner = Owner().begun(mail(1))
    owner.quiet()
    owner.is_alive = is_alive
    assert (owner.written(1).commit is not None) is is_alive


def test_a_dot_that_was_granted_too_late_is_not_sent() -> None:
    owner = Owner().begun(mail(1))
    owner.quiet()
    owner.written(1)
    owner.is_alive = False
    actions = owner.grant()
    assert list(actions.writes) == [Close(1)]


def test_a_withheld_dot_puts_nothing_in_doubt() -> None:
    owner = Owner().started(mail(1))
    owner.step(DotWithheld(1))
    assert [result.status for result in owner.commit().results] == [S.DEFERRED]


def test_a_result_is_in_every_commit_until_one_has_returned_and_then_in_none() -> None:
    owner = Owner(1).started(mail(1))
    owner.answered(1, Step.DOT, OK)
    assert [result.status for result in owner.commit().results] == [S.SENT]
    assert owner.step(CommitFailed("gone")).commit is None
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    assert [result.status for result in owner.step().commit.results] == [S.SENT]  # type: ignore[union-attr]
    owner.returned()
    assert not owner.flight.unrecorded


def test_what_comes_while_a_commit_is_under_way_is_in_the_next() -> None:
    owner = Owner().started(mail(1), mail(2))
    owner.answered(1, Step.DOT, OK)
    owner.now += in_flight.GATHER_SECONDS
    owner.step()
    assert owner.answered(2, Step.DOT, OK).commit is None
    owner.returned()
    assert [result.row.id for result in owner.commit().results] == [2]


def test_a_commit_waits_a_moment_for_what_the_relay_has_yet_to_answer() -> None:
    owner = Owner(3).started(mail(1), mail(2), mail(3))
    assert owner.answered(1, Step.DOT, OK).commit is None
    assert 0 < owner.last.wait_seconds <= in_flight.GATHER_SECONDS
    owner.now += in_flight.GATHER_SECONDS
    assert [result.row.id for result in owner.step().commit.results] == [1]  # type: ignore[union-attr]
    owner.returned()
    # The last answer is not waited for: nothing is left that could come.
    owner.answered(2, Step.DOT, OK)
    owner.answered(3, Step.DOT, OK)
    assert [result.row.id for result in owner.commit().results] == [2, 3]


def test_nothing_turns_for_nothing_while_the_database_cannot_be_used() -> None:
    owner = Owner(3).started(mail(1), mail(2), mail(3))
    assert owner.answered(1, Step.DOT, OK).commit is None
    owner.step(CommitFailed("a look"))
    owner.now += in_flight.GATHER_SECONDS
    pause = in_flight.DATABASE_PAUSE_SECONDS - in_flight.GATHER_SECONDS
    assert owner.step().wait_seconds == pytest.approx(pause)


def test_what_no_claim_takes_is_not_asked_for_at_once_again() -> None:
    owner = Owner()
    owner.step()
    assert owner.returned().look
    # What waits may be of a digest of which nothing is to be claimed now.
    assert owner.step(Looked(True)).commit is not None
    owner.returned()
    assert not owner.last.look
    assert owner.last.wait_seconds == pytest.approx(LOOK_SECONDS)


def test_what_is_given_back_while_rows_are_being_claimed_is_asked_for_once_more() -> None:
    owner = Owner(1).begun(mail(1))
    owner.written(1)
    assert owner.commit().claims
    # It is not granted, and given back before the claim has returned.
    owner.step(Committed())
    assert owner.commit().postponed
    owner.step(Committed())
    assert owner.under_way is None
    # That claim may have come too early to see it. The next one does not.
    owner.step(Claimed())
    assert owner.commit().claims
    owner.step(Committed())
    assert owner.step(Claimed()).look


def test_after_a_failed_commit_nothing_begins_until_one_returned_that_gave_back_the_unknown() -> (
    None
):
    owner = Owner().begun(mail(1))
    owner.quiet()
    owner.written(1)
    owner.step(CommitFailed("gone"))
    assert (owner.last.writes, owner.last.commit) == ([], None)
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    commit = owner.step().commit
    assert commit is not None
    assert commit.known == frozenset(rows([mail(1)]))
    assert commit.starts == rows([mail(1)])
    assert dots(owner.grant()) == [1]


def test_what_a_failed_commit_may_still_do_is_given_back_ten_seconds_later() -> None:
    owner = Owner()
    owner.step()
    owner.step(CommitFailed("gone"))
    failed_at = owner.now
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    owner.step()
    assert owner.commit().known is not None
    owner.quiet()
    owner.now = failed_at + in_flight.RECONCILE_SECONDS - 0.1
    assert owner.step().commit is None
    owner.now = failed_at + in_flight.RECONCILE_SECONDS
    owner.step()
    assert owner.commit().known == frozenset()
    owner.quiet()
    owner.now += in_flight.RECONCILE_SECONDS
    assert owner.step().commit is None


def test_a_row_that_is_claimed_again_while_its_mail_is_in_hand_is_taken_in_once() -> None:
    """A server that crashed may have forgotten its claim."""
    owner = Owner(2).begun(mail(1), waiting=[mail(2)])
    owner.written(1)
    claimed = Claimed([mail(1), mail(2), mail(3)])
    owner.step(claimed, Committed(frozenset(owner.commit().starts)))
    assert begins(owner.last) == [(1, 2)]
    assert begins(owner.step(Opened(2, True))) == [(2, 3)]


def test_a_row_that_is_claimed_anew_is_taken_in_although_the_mail_of_an_old_claim_is_in_hand() -> (
    None
):
    """Others considered us dead meanwhile; what is in hand of that time is given up."""
    owner = Owner(2).begun(mail(1))
    owner.worker_id = 8
    owner.quiet()
    owner.now += LOOK_SECONDS
    owner.step(Looked(True))
    owner.claim(mail(1, worker_id=8))
    assert begins(owner.step(Opened(2, True))) == [(2, 1)]
    owner.written(1)
    assert list(owner.last.writes) == [Close(1)]
    owner.quiet()
    owner.written(2)
    assert owner.commit().starts == rows([mail(1)])


@pytest.mark.parametrize(
    ("step", "reason", "status"),
    [(Step.DOT, Lost.DROP, S.UNKNOWN), (Step.DOT, Lost.TIMEOUT, S.UNKNOWN)],
)
def test_a_connection_that_ends_after_the_dot_leaves_its_mail_in_doubt(
    step: Step, reason: str, status: DeliveryStatus
) -> None:
    owner = Owner(1).started(mail(1))
    owner.closed(1, step, reason)
    assert [result.status for result in owner.commit().results] == [status]


def test_a_connection_that_ends_as_its_start_is_granted_gets_no_final_dot() -> None:
    """Nothing is in doubt of a mail whose end nobody has written."""
    owner = Owner(1).begun(mail(1), waiting=[mail(2)])
    owner.written(1)
    lost = Happened(1, Closed(Step.BLOCK, None, Lost.DROP))
    owner.step(Claimed(), Committed(frozenset(owner.commit().starts)), lost)
    assert list(owner.last.writes) == [Close(1)]
    assert [result.status for result in owner.commit().results] == [S.DEFERRED]
    # The relay is left alone for a while, and the mail behind it is given back.
    assert list(owner.commit().released) == rows([mail(2)])


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK])
def test_a_connection_that_ends_before_the_dot_gives_its_mail_back(step: Step) -> None:
    owner = Owner(1).begun(mail(1))
    owner.quiet()
    owner.closed(1, step)
    ((row, seconds),) = owner.commit().postponed
    assert (row, owner.commit().results) == (mail(1).claim.row, ())
    assert seconds > 0


def test_a_start_that_may_be_recorded_is_taken_back_if_the_connection_ends() -> None:
    owner = Owner(1).begun(mail(1))
    owner.quiet()
    owner.written(1)
    owner.step(CommitFailed("gone"))
    owner.closed(1, Step.BLOCK)
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    owner.step()
    # The ledger may say `sending`: a row that is only released would stay so.
    assert [result.status for result in owner.commit().results] == [S.DEFERRED]


def test_nothing_goes_on_that_was_claimed_before_others_considered_this_worker_dead() -> None:
    owner = Owner(1).begun(mail(1), waiting=[mail(2)])
    owner.quiet()
    owner.worker_id = 8
    # They have taken the rows over, and we claim the first one anew.
    actions = owner.written(1)
    assert list(actions.writes) == [Close(1)]
    assert not owner.commit().starts
    owner.claim(mail(1, worker_id=8))
    owner.step(Opened(2, True))
    assert begins(owner.last) == [(2, 1)]
    owner.quiet()
    assert owner.written(2).commit is not None
    assert owner.commit().starts == rows([mail(1)])
    assert dots(owner.grant()) == [2]


def test_after_a_fault_nothing_follows_behind_a_final_dot_on_the_same_connection() -> None:
    owner = Owner(1).begun(mail(1), waiting=[mail(2)])
    owner.quiet()
    owner.written(1)
    owner.grant()
    assert begins(owner.last) == [(1, 2)]
    owner.quiet()
    # The second mail may have begun or not.
    owner.step(Fault(frozenset({1}), 0))
    actions = owner.answered(1, Step.DOT, OK)
    assert list(actions.writes) == [Close(1)]
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    owner.step()
    assert [result.status for result in owner.commit().results] == [S.SENT]
    assert [row for row, _ in owner.commit().postponed] == rows([mail(2)])


def test_a_connection_that_ends_while_its_start_is_committed_puts_nothing_in_doubt() -> None:
    owner = Owner(1).begun(mail(1))
    owner.quiet()
    owner.written(1)
    start = owner.commit().starts
    owner.closed(1, Step.BLOCK)
    owner.returned(granted=start)
    assert not dots(owner.last)
    assert [result.status for result in owner.commit().results] == [S.DEFERRED]


def test_a_relay_that_closed_an_idle_connection_costs_the_mail_nothing() -> None:
    owner = Owner(1, pipelines=False).started(mail(1))
    owner.answered(1, Step.DOT, OK)
    owner.step(Happened(1, Ready()))
    owner.quiet()
    owner.now += 1
    owner.step()
    if owner.under_way is None:
        owner.step(Looked(True))
    owner.claim(mail(2))
    assert begins(owner.last) == [(1, 2)]
    owner.closed(1, Step.MAIL)
    owner.quiet()
    assert owner.step(Opened(2, False)).writes == [Begin(2, mail(2))]


def test_the_next_mail_begins_behind_the_final_dot() -> None:
    owner = Owner(1).begun(mail(1), waiting=[mail(2)])
    owner.written(1)
    actions = owner.grant()
    assert list(actions.writes) == [FinalDot(1), Begin(1, mail(2))]
    owner.quiet()
    # The answer is about the first, and the second takes its place.
    owner.answered(1, Step.DOT, OK)
    assert [result.row.id for result in owner.commit().results] == [1]
    assert owner.written(1).commit is None
    owner.returned()
    assert owner.commit().starts == rows([mail(2)])


def test_a_notice_overtakes_what_was_claimed_before_it() -> None:
    owner = Owner(1, pipelines=False).begun(mail(1), waiting=[mail(2)])
    owner.written(1)
    owner.grant()
    owner.step(Claimed([mail(5, None)]))
    owner.answered(1, Step.DOT, OK)
    assert begins(owner.step(Happened(1, Ready()))) == [(1, 5)]


def test_a_digest_that_is_refused_again_and_again_is_to_be_paused() -> None:
    owner = Owner(2)
    owner.begun(mail(1, 1), mail(2, 2))
    owner.quiet()
    for _ in range(5):
        # Refused by the relay one after the other, until the digest is paused.
        owner.answered(1, Step.RCPT, NOBODY_THERE)
        if owner.under_way is not None and owner.under_way.pauses:
            break
        owner.quiet()
        owner.step(Happened(1, Ready()))
        if owner.under_way is None:
            owner.now += 1
            owner.step(Looked(True))
        owner.claim(mail(3, 1))
        owner.quiet()
    assert [pause.digest_id for pause in owner.commit().pauses] == [1]


@pytest.mark.parametrize(("digest_id", "is_held"), [(1, True), (2, False)])
def test_nothing_starts_in_the_commit_that_pauses_its_digest(digest_id: int, is_held: bool) -> None:
    owner = Owner(2).begun(mail(1, 1), mail(2, digest_id))
    owner.quiet()
    unsendable = NotComposed(1, Unsendable("it has no content"))
    # A digest whose mails cannot be made pauses after a few.
    for number in range(3, 20):
        owner.step(unsendable)
        if owner.under_way is not None and owner.under_way.pauses:
            break
        owner.quiet()
        if owner.under_way is None:
            owner.now += 1
            owner.step(Looked(True))
        owner.claim(mail(number, 1))
        owner.quiet()
    assert owner.commit().pauses
    owner.step(CommitFailed("gone"))
    owner.written(2)
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    commit = owner.step().commit
    assert commit is not None
    assert commit.pauses
    assert (mail(2).claim.row not in commit.starts) is is_held


def test_after_a_stop_nothing_begins_and_what_is_under_way_is_finished() -> None:
    owner = Owner(1).begun(mail(1), waiting=[mail(2)])
    owner.step(Stop())
    assert owner.commit().released == tuple(rows([mail(2)]))
    owner.quiet()
    owner.written(1)
    assert list(owner.grant().writes) == [FinalDot(1)]
    owner.answered(1, Step.DOT, OK)
    assert Quit(1) in owner.step(Happened(1, Ready()), Committed()).writes
    assert owner.flight.is_done


def test_what_the_relay_does_not_answer_in_time_after_a_stop_is_in_doubt() -> None:
    owner = Owner(1).started(mail(1))
    owner.step(Stop())
    assert not owner.flight.is_done
    owner.now += in_flight.DRAIN_SECONDS
    owner.step()
    assert [result.status for result in owner.commit().results] == [S.UNKNOWN]
    owner.step(CommitFailed("gone"))
    assert not owner.flight.is_done
    owner.now += in_flight.LAST_RECORD_SECONDS
    owner.step()
    assert owner.flight.is_done
    assert len(owner.flight.unrecorded) == 1


def test_after_a_fault_only_answers_to_final_dots_are_awaited() -> None:
    owner = Owner(2).started(mail(1), mail(2))
    owner.step(Fault(frozenset({1}), 0))
    assert list(owner.last.writes) == [Close(2)]
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    owner.answered(1, Step.DOT, OK)
    assert [(result.row.id, result.status) for result in owner.commit().results] == [
        (2, S.UNKNOWN),
        (1, S.SENT),
    ]
    assert owner.commit().known is not None


def test_a_start_that_is_granted_in_the_step_of_a_fault_is_not_in_doubt() -> None:
    owner = Owner(1).begun(mail(1))
    owner.quiet()
    owner.written(1)
    granted = Committed(frozenset(owner.commit().starts))
    assert list(owner.step(granted, Fault(frozenset(), 0)).writes) == [Close(1)]
    owner.now += in_flight.DATABASE_PAUSE_SECONDS
    owner.step()
    assert [result.status for result in owner.commit().results] == [S.DEFERRED]


def test_refusals_are_judged_when_all_that_are_being_opened_are_known() -> None:
    """A relay that allows fewer connections refuses faster than it admits."""
    owner = Owner(2)
    owner.step()
    assert owner.claim(mail(1), mail(2)).open == 2
    refusal = Unopened(Step.GREETING, Reply(421, ("4.7.0 too many",)), "421 4.7.0 too many")
    assert owner.step(refusal).open == 0
    assert begins(owner.step(Opened(1, True))) == [(1, 1)]
    # One is what it allows: the second mail waits for that one.
    assert owner.last.open == 0


def test_a_mail_that_is_deferred_waits_by_the_plan_and_the_next_begins() -> None:
    owner = Owner(1).begun(mail(1), waiting=[mail(2)])
    owner.quiet()
    owner.answered(1, Step.RCPT, NOT_NOW)
    (result,) = owner.commit().results
    assert result.status is S.DEFERRED
    assert result.next_attempt_at == owner.moment.wall + timedelta(minutes=5)
    assert begins(owner.step(Happened(1, Ready()))) == [(1, 2)]
