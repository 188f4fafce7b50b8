"""Faults of our own in the middle of sending: it goes on, or ends for all to see, and holds nothing."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError

from mailer import worker as worker_module
from mailer.app import App
from mailer.clock import Times
from mailer.db import Database
from mailer.errors import MailerError
from mailer.models import Delivery, DeliveryStatus, Worker
from mailer.sending import send_loop, sender_heartbeat
from mailer.sending.committer import Committer
from mailer.sending.composer import Composer
from mailer.sending.in_flight.events import SendEvent, Stop
from mailer.sending.send_loop import Sender
from mailer.settings import load
from mailer.tokens import Keys
from mailer.worker import Worker as Sending
from tests.support.processes import environment, killed_in_the_end, start_mailer
from tests.support.receiver import holding, receiver
from tests.support.sending import Post, sending
from tests.support.waiting import wait_until

READERS = 20

FAULTS = pytest.mark.parametrize("fault", [TypeError("a mistake"), MemoryError()], ids=repr)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_loop, "FAULT_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(worker_module, "FAULT_SECONDS", 0.05)
    monkeypatch.setattr(worker_module, "RESTART_SECONDS", 0.05)


class Failing:
    """Makes a method fail: the calls with these numbers, counted from 1, or each from one on."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        owner: type,
        name: str,
        fault: BaseException,
        fails: Callable[[int], bool],
    ) -> None:
        self.calls = 0
        whole = getattr(owner, name)

        def method(this: Any, *given: Any, **more: Any) -> Any:
            self.calls += 1
            if fails(self.calls):
                raise fault
            return whole(this, *given, **more)

        monkeypatch.setattr(owner, name, method)


def held(database: Database) -> list[int]:
    """The rows that somebody holds."""
    statuses = (DeliveryStatus.CLAIMED, DeliveryStatus.SENDING)
    with database.read() as session:
        return list(session.scalars(select(Delivery.id).where(Delivery.status.in_(statuses))))


def living(database: Database) -> list[int]:
    """The workers that have not signed off."""
    with database.read() as session:
        return list(session.scalars(select(Worker.id).where(Worker.stopped_at.is_(None))))


@FAULTS
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [(Composer, "compose", 3), (Committer, "begin", 4), (Composer, "load", 2)],
    ids=["compose", "commit", "claim"],
)
def test_after_a_fault_it_goes_on_and_nobody_is_left_behind(
    post: Post, monkeypatch: pytest.MonkeyPatch, fault: Exception, owner: type, name: str, call: int
) -> None:
    post.build(READERS)
    failing = Failing(monkeypatch, owner, name, fault, lambda number: number == call)
    with post.relay() as relay:
        if name == "compose" and not isinstance(fault, MemoryError):
            # What is wrong with one letter fails that letter.
            wait_until(lambda: post.counts().failed == 1)
            return
        wait_until(post.is_sent)
        assert failing.calls > call
    assert post.counts().sent == READERS
    assert len(set(relay.recipients)) == len(relay.mails) == READERS
    assert post.counts().in_doubt == 0


def test_a_claim_that_always_fails_keeps_no_outcome_from_being_recorded(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.build(READERS)
    fault = IntegrityError("INSERT", None, ValueError("no such edition"))
    Failing(monkeypatch, Composer, "load", fault, lambda number: number > 1)
    with receiver() as relay, pytest.raises(MailerError):
        post.sender(relay.port).run(threading.Event())
    found = post.counts()
    assert found.sent == len(relay.mails) > 0
    assert (found.in_doubt, found.pending) == (0, READERS - found.sent)
    assert held(post.database) == []


@FAULTS
def test_a_fault_that_does_not_go_away_ends_it_and_it_holds_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    post.build(READERS)
    with receiver() as relay:
        Failing(monkeypatch, Committer, "begin", fault, lambda number: number >= 2)
        with pytest.raises(MailerError, match="5 times"):
            post.sender(relay.port).run(threading.Event())
    assert held(post.database) == []
    assert post.counts().pending + len(relay.mails) >= READERS


def test_a_fault_that_does_not_go_away_is_not_told_of_all_the_time_while_it_drains(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.build(READERS)
    turn, faults = Sender._turn, []

    def failing(this: Sender, events: list[SendEvent]) -> None:
        if any(isinstance(event, Stop) for event in events):
            faults.append(len(events))
            raise TypeError("a mistake")
        turn(this, events)

    monkeypatch.setattr(Sender, "_turn", failing)
    answers = threading.Event()
    with receiver(holding(answers)) as relay:
        with sending(post.sender(relay.port)):
            wait_until(lambda: DeliveryStatus.SENDING in post.statuses())
        answers.set()
    assert send_loop.MOST_FAULTS <= len(faults) <= send_loop.MOST_FAULTS + 1


def test_what_ends_even_the_loop_leaves_nobody_who_beats(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.build(READERS)
    Failing(monkeypatch, Committer, "begin", SystemExit(3), lambda number: number == 2)
    with receiver() as relay, pytest.raises(SystemExit):
        post.sender(relay.port).run(threading.Event())
    assert living(post.database) == []
    assert not [one for one in threading.enumerate() if one.name == "heartbeat"]


def test_a_heart_that_stumbles_goes_on_beating(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(
        monkeypatch,
        sender_heartbeat.SenderHeartbeat,
        "_beat",
        RuntimeError("a mistake"),
        lambda n: n < 3,
    )
    with post.relay(lease_seconds=0.3):
        wait_until(lambda: failing.calls > 4)


def sending_app(database: Database, keys: Keys, port: int) -> App:
    settings = load(environment(database, keys, port, {"lease": "60s"}), None)
    return App(settings, database, keys, Times())


DISK = OperationalError("INSERT", {}, Exception("disk I/O error"))


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (Committer, "begin", TypeError("a mistake")),
        (sender_heartbeat.SenderHeartbeat, "start", DISK),
        (sender_heartbeat.SenderHeartbeat, "start", MemoryError()),
    ],
    ids=["mistake", "disk", "memory"],
)
def test_another_sender_takes_the_place_of_one_that_failed(
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    name: str,
    fault: Exception,
) -> None:
    post.build(READERS)
    Failing(monkeypatch, owner, name, fault, lambda number: number <= 7)
    with receiver() as relay:
        worker = Sending(sending_app(post.database, post.keys, relay.port))
        worker.start()
        try:
            wait_until(post.is_sent)
            assert not worker.has_ended
        finally:
            worker.stop()
    assert relay.recipients == sorted(set(relay.recipients))
    assert len(relay.mails) == READERS
    # What comes again and again is told once.
    assert 1 <= caplog.text.count("the worker") <= 2
    assert held(post.database) == living(post.database) == []


_ENDS = """
import sys

from mailer.cli import main
from mailer.sending.committer import Committer

def begin(*given, **more):
    raise SystemExit(3)

Committer.begin = begin
sys.exit(main())
"""


def test_a_worker_that_ends_by_itself_ends_its_process_for_all_to_see(
    sqlite_database: Database, keys: Keys, fast_folder: Path
) -> None:
    program, log = fast_folder / "ends.py", fast_folder / "log"
    program.write_text(_ENDS)
    with receiver() as relay:
        process = start_mailer(
            sqlite_database, keys, relay.port, log, "worker", program=(str(program),)
        )
        with killed_in_the_end(process):
            assert process.wait() == 1
    assert "error: the worker ended by itself; see the log above" in log.read_text()
    assert living(sqlite_database) == []
