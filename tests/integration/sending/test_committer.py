"""Commits of a sender: what they record, claim and release, and what is left of one that fails."""

import select as selecting
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.clock import Times, utc_now
from mailer.db import Database
from mailer.ledger import recovery
from mailer.ledger.digest_state import Pause
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.models import Delivery, DeliveryStatus, DigestStatus, Notice, NoticeKind
from mailer.notices.alert import TurnedAway
from mailer.rate import Rate
from mailer.sending.committer import Committer
from mailer.sending.composer import Composer
from mailer.sending.flow_control import token_bucket
from mailer.sending.in_flight.commit import Claimed, Commit, CommitFailed, Committed, Looked
from tests.support.sending import Post, alerts, beating
from tests.support.waiting import wait_until

S = DeliveryStatus

UGLY = """it's "so" \\ {1,2} NULL %s $1 \N{DROPLET}"""


class Returned(NamedTuple):
    """All that is told of a commit that was made."""

    committed: Committed
    claimed: Claimed

    @property
    def granted(self) -> frozenset[RowId]:
        return self.committed.granted


class Bench:
    """A committer, and the worker for which it commits."""

    def __init__(self, committer: Committer, worker: int) -> None:
        self.committer = committer
        self.worker = worker

    def commit(self, **what: Any) -> Returned:
        returned = self.returned(Commit(**what))
        assert isinstance(returned, Returned)
        return returned

    def returned(self, commit: Commit) -> Returned | CommitFailed:
        """What becomes of a commit and of its claim."""
        answers = self.committer.begin(commit)
        while (number := self.committer.fileno()) is not None:
            selecting.select([number], [], [])
            answers += self.committer.poll()
        failed = [answer for answer in answers if isinstance(answer, CommitFailed)]
        if failed:
            return failed[0]
        (committed,) = [answer for answer in answers if isinstance(answer, Committed)]
        claimed = [answer for answer in answers if isinstance(answer, Claimed)]
        assert len(claimed) == (commit.claims > 0)
        return Returned(committed, claimed[0] if claimed else Claimed())

    def claim(self, number: int = 100, **more: Any) -> list[RowId]:
        return [mail.claim.row for mail in self.commit(claims=number, **more).claimed.mails]

    def results(
        self, rows: Sequence[RowId], status: S = S.SENT, **more: Any
    ) -> list[AttemptResult]:
        one = AttemptResult(RowId(Delivery, 0), self.worker, 1, status, "dot", 250, UGLY)
        return [one._replace(row=row, **more) for row in rows]


@contextmanager
def committing(post: Post, composer: Composer, rate: Rate | None = None) -> Iterator[Bench]:
    """A committer for a worker that lives."""
    with beating(post.database) as heartbeat:
        committer = Committer(
            post.database,
            composer,
            lambda: heartbeat.worker_id,
            Times(),
            rate=rate,
            alerts=alerts(post.keys),
        )
        yield Bench(committer, heartbeat.worker_id)
        committer.close()


@pytest.fixture
def bench(post: Post, composer: Composer) -> Iterator[Bench]:
    with committing(post, composer) as bench:
        yield bench


# What happens to mails.


def test_fifty_mails_are_claimed_started_and_recorded(post: Post, bench: Bench) -> None:
    post.build(50)
    rows = bench.claim(50)
    assert post.statuses() == [S.CLAIMED] * 50
    half = rows[:25]
    assert bench.commit(starts=half).granted == frozenset(half)
    committed = bench.commit(results=bench.results(half), starts=rows[25:])
    assert committed.granted == frozenset(rows[25:])
    assert post.statuses() == [S.SENT] * 25 + [S.SENDING] * 25
    assert post.row().reply == UGLY
    bench.commit(results=bench.results(rows[25:]), claims=1)
    assert post.is_sent()


@pytest.mark.parametrize("status", [S.SENT, S.FAILED, S.DEFERRED, S.UNKNOWN])
def test_every_kind_of_result_is_recorded_beside_starts(
    post: Post, bench: Bench, status: S
) -> None:
    post.build(4)
    first, second, third, _ = bench.claim()
    bench.commit(starts=[first, second])
    later = utc_now() + timedelta(hours=1)
    again_at = later if status in (S.DEFERRED, S.UNKNOWN) else None
    results = bench.results([first], status, reply=None, code=None, next_attempt_at=again_at)
    committed = bench.commit(results=results + bench.results([second]), starts=[third], claims=2)
    assert committed.granted == frozenset({third})
    expected = S.QUEUED if status is S.UNKNOWN else status
    assert post.statuses() == [expected, S.SENT, S.SENDING, S.CLAIMED]


def test_a_notice_overtakes_what_is_claimed_with_it(post: Post, bench: Bench) -> None:
    post.build(2)
    post.notice()
    rows = bench.claim()
    assert [row.table for row in rows] == [Notice, Delivery, Delivery]
    committed = bench.commit(starts=rows)
    assert committed.granted == frozenset(rows)


def test_a_claim_says_whether_another_one_may_find_more(post: Post, bench: Bench) -> None:
    digest_id = post.build(3)
    assert bench.claim(2, excluded=frozenset({digest_id})) == []
    assert bench.commit(claims=2).claimed.more_waits
    assert not bench.commit(claims=2).claimed.more_waits


def test_a_start_that_is_not_granted_is_left_out(post: Post, bench: Bench) -> None:
    digest_id = post.build(2)
    first, second = bench.claim()
    assert bench.commit(starts=[first]).granted == frozenset({first})
    pause = Pause(digest_id, "too many refusals")
    results = bench.results([first], S.UNKNOWN, code=None)
    assert bench.commit(results=results, pauses=[pause]).granted == frozenset()
    assert post.digest().status is DigestStatus.PAUSED
    assert bench.commit(starts=[second]).granted == frozenset()
    assert post.statuses() == [S.UNKNOWN, S.CLAIMED]


def test_what_is_released_waits_and_what_is_postponed_waits_longer(
    post: Post, bench: Bench
) -> None:
    post.build(4)
    first, second, third, fourth = bench.claim()
    bench.commit(released=[first], postponed=[(second, 3600)], starts=[third])
    assert post.statuses() == [S.QUEUED, S.QUEUED, S.SENDING, S.CLAIMED]
    assert bench.claim() == [first]
    assert post.row(2).next_attempt_at > utc_now() + timedelta(minutes=59)
    bench.commit(known=frozenset({third, fourth}))
    assert post.statuses() == [S.QUEUED, S.QUEUED, S.SENDING, S.CLAIMED]
    assert post.row(3).status is S.SENDING


def test_what_a_worker_does_not_know_of_is_given_back_even_if_it_was_started(
    post: Post, composer: Composer, bench: Bench
) -> None:
    post.notice()
    post.build(4)
    notice, first, second, third = bench.claim(4)
    bench.commit(starts=[notice, first, second])
    with committing(post, composer) as other:
        theirs = other.claim(1)
        other.commit(starts=theirs)
        bench.commit(known=frozenset({second}))
        assert post.statuses() == [S.DEFERRED, S.SENDING, S.QUEUED, S.SENDING]
    row = post.row(1)
    assert (row.attempts, row.step, row.code, row.in_doubt) == (1, "block", None, 0)
    assert set(bench.claim(9)) == {notice, first, third}


def test_staff_are_told_of_a_refused_sender_after_its_results(post: Post, bench: Bench) -> None:
    notice = post.notice(kind=NoticeKind.ALERT, from_address="refused@news.example")
    post.build(1)
    row = RowId(Notice, notice.id)
    bench.claim()
    later = utc_now() + timedelta(hours=1)
    bench.commit(
        results=bench.results([row], S.DEFERRED, next_attempt_at=later),
        turned_away=[TurnedAway(row, None)],
        refused=frozenset({"refused@news.example"}),
    )
    with post.database.read() as session:
        moved = session.get_one(Notice, notice.id)
    assert (moved.status, moved.from_address) == (S.DEFERRED, "daily@news.example")
    assert moved.next_attempt_at < later


def test_work_is_seen_until_it_is_claimed_and_what_is_claimed_is_released_at_the_end(
    post: Post, bench: Bench
) -> None:
    post.build(2)
    assert bench.committer.look() == Looked(work_waits=True)
    bench.claim()
    assert bench.committer.look() == Looked(work_waits=False)
    assert bench.committer.close()
    assert post.statuses() == [S.QUEUED] * 2


# The rate.


class Account:
    """What was paid for mails, less what was paid back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paid = 0
        spend, refund = token_bucket.spend, token_bucket.refund

        def spending(*given: Any) -> token_bucket.Spent:
            spent = spend(*given)
            self.paid += spent.number
            return spent

        def refunding(session: Session, rate: Rate, number: int) -> None:
            self.paid -= number
            refund(session, rate, number)

        monkeypatch.setattr(token_bucket, "spend", spending)
        monkeypatch.setattr(token_bucket, "refund", refunding)


@pytest.mark.parametrize("fails_at", [1, 2], ids=["before-it-is-made", "after-it-was-made"])
def test_what_cannot_be_tried_out_is_unready_and_paid_back_once(
    post: Post, composer: Composer, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    post.build(6)
    post.change(update(Delivery).values(crashes=1))
    account = Account(monkeypatch)
    with committing(post, composer, rate=Rate(1000, timedelta(seconds=1))) as bench:
        _fail_once(monkeypatch, fails_at)
        claimed = _claim_when_there_are_tokens(bench)
        assert (len(claimed.mails), len(claimed.unready)) == (0, account.paid)
        bench.commit(released=claimed.unready)
        assert (account.paid, set(post.statuses())) == (0, {S.QUEUED})
        claimed = _claim_when_there_are_tokens(bench)
        assert account.paid == len(claimed.mails) == post.statuses().count(S.CLAIMED)
        assert all(mail.claim.crashes for mail in claimed.mails)


def test_the_rate_says_when_the_next_claim_may_be(post: Post, composer: Composer) -> None:
    post.build(6)
    with committing(post, composer, rate=Rate(1, timedelta(seconds=3600))) as bench:
        assert len(bench.claim()) == 1
        claimed = bench.commit(claims=2).claimed
        assert (claimed.mails, claimed.more_waits) == ([], True)
        assert 3500 < claimed.claim_in <= 3600


def _claim_when_there_are_tokens(bench: Bench) -> Claimed:
    """Claim again and again: tokens come in by the clock."""
    while True:
        claimed = bench.commit(claims=4).claimed
        if claimed.mails or claimed.unready:
            return claimed


def _fail_once(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the database fail at the `number`th note about a mail that is tried out."""
    note_crashes, calls = recovery.note_crashes, 0

    def failing(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OperationalError("UPDATE", {}, Exception("the disk is full"))
        note_crashes(*given)

    monkeypatch.setattr(recovery, "note_crashes", failing)


# Failures.


def test_a_fault_of_ours_is_raised_and_leaves_nothing(
    post: Post, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.build(2)
    first, second = bench.claim()
    bench.commit(starts=[first])
    bad = bench.results([first], reply=object())
    with pytest.raises(Exception, match=r"object|adapt|bind"):
        bench.returned(Commit(results=bad, starts=[second]))
    assert bench.committer.fileno() is None
    assert post.statuses() == [S.SENDING, S.CLAIMED]
    assert bench.commit(results=bench.results([first])).granted == frozenset()


def test_a_database_that_is_locked_fails_the_commit(
    sqlite_database: Database, composer: Composer, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(sqlite_database, keys, lambda: None)  # type: ignore[arg-type, return-value]
    post.build(1)
    with committing(post, composer) as bench:
        (row,) = bench.claim()
        with post.database.engine.connect() as other:
            bench.committer._writer._connection.exec_driver_sql("PRAGMA busy_timeout = 1")  # type: ignore[union-attr]
            bench.committer._writer._connection.commit()  # type: ignore[union-attr]
            other.execution_options(sqlite_begin="BEGIN IMMEDIATE").execute(text("SELECT 1"))
            failed = bench.returned(Commit(starts=[row]))
        assert failed == CommitFailed("(sqlite3.OperationalError) database is locked")
        assert bench.commit(starts=[row]).granted == frozenset({row})


@pytest.fixture
def on_postgresql(postgresql_database: Database, keys: Any) -> Post:
    return Post(postgresql_database, keys, lambda: None)  # type: ignore[arg-type, return-value]


def end_others(session: Session) -> None:
    """End all other connections to this database."""
    session.execute(
        text(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


def test_a_plain_commit_is_not_waited_for(on_postgresql: Post, composer: Composer) -> None:
    on_postgresql.build(3)
    with committing(on_postgresql, composer) as bench:
        first, second, third = bench.claim()
        bench.commit(starts=[first])
        with on_postgresql.database.write() as session:
            session.execute(select(Delivery).with_for_update())
            commit = Commit(results=bench.results([first]), starts=[second])
            assert bench.committer.begin(commit) == list(bench.committer.poll()) == []
            assert bench.committer.fileno() is not None
        wait_until(lambda: list(bench.committer.poll()) == [Committed(frozenset({second}))])
        assert on_postgresql.statuses() == [S.SENT, S.SENDING, S.CLAIMED]
        # It may also be given up.
        with on_postgresql.database.write() as session:
            session.execute(select(Delivery).with_for_update())
            assert bench.committer.begin(Commit(starts=[third])) == []
            bench.committer.abandon()
            assert (bench.committer.fileno(), list(bench.committer.poll())) == (None, [])
        assert bench.commit(known=frozenset({second})).granted == frozenset()
        assert on_postgresql.statuses()[:2] == [S.SENT, S.SENDING]


@pytest.mark.parametrize("claims", [0, 1])
@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_connection_that_is_ended_fails_the_commit_and_no_other(
    on_postgresql: Post, composer: Composer, moment: str, claims: int
) -> None:
    post = on_postgresql
    post.build(4)
    with committing(post, composer) as bench:
        first, second = bench.claim(2)
        bench.commit(starts=[first])
        commit = Commit(results=bench.results([first]), starts=[second], claims=claims)
        with post.database.write() as session:
            if moment == "before":
                end_others(session)
            else:
                session.execute(select(Delivery).with_for_update())
            answers = bench.committer.begin(commit)
            if moment == "during":
                assert answers == []
                wait_until(lambda: list(bench.committer.poll()) or _is_waiting(post))
                end_others(session)
            # A claim may have found nothing meanwhile, because all rows are locked.
            while bench.committer.fileno() is not None:
                answers += bench.committer.poll()
        failed = answers[-1]
        assert isinstance(failed, CommitFailed)
        assert "\n" not in failed.reason
        assert bench.committer.fileno() is None
        assert post.statuses() == [S.SENDING, S.CLAIMED, S.QUEUED, S.QUEUED]
        again = replace(commit, known=frozenset({first, second}))
        assert bench.commit(**{name: getattr(again, name) for name in again.__slots__}).granted


def _is_waiting(post: Post) -> bool:
    with post.database.read() as session:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(session.scalar(text(f"{query} AND datname = current_database()")))


def test_nothing_is_released_where_the_database_is_gone(post: Post, composer: Composer) -> None:
    post.build(1)
    with beating(post.database) as heartbeat:
        gone = Database("postgresql://127.0.0.1:1/nothing")
        committer = Committer(
            gone,
            composer,
            lambda: heartbeat.worker_id,
            Times(),
            rate=None,
            alerts=alerts(post.keys),
        )
        for returned in (
            *committer.begin(Commit(claims=1)),
            *committer.begin(Commit(starts=[RowId(Delivery, 1)])),
            committer.look(),
        ):
            assert isinstance(returned, CommitFailed)
        assert not committer.close()
        gone.dispose()
