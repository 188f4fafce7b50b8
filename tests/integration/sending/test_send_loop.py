"""The send loop against a relay on loopback, with the ledger in a real database."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from mailer.clock import utc_now
from mailer.db.prepared_statements import Prepared, Queries, Query
from mailer.ledger import claims, digest_state, outcomes, recovery
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Edition,
    Installation,
    Notice,
    NoticeKind,
    Subscriber,
    Subscription,
    Worker,
)
from mailer.sending import send_loop
from mailer.sending.composer import Composer, OutgoingMail
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.in_flight import outbox, owner
from mailer.sending.in_flight.events import Fault, SendEvent
from mailer.sending.in_flight.open_connections import Phase
from mailer.sending.in_flight.owner import InFlight
from mailer.sending.send_loop import Sender
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.tokens import Purpose
from tests.support import factories
from tests.support.factories import NOW
from tests.support.receiver import Answer, fine, holding, pipelining, plain, receiver
from tests.support.sending import BASE_URL, Post, address, sending
from tests.support.waiting import wait_until

S = DeliveryStatus

AT_ONCE = RetryPlan((timedelta(0),), timedelta(hours=1))


def at(
    verb: str, said: str | None, *, first: int = 1, times: int = 10**6, reader: str = ""
) -> Answer:
    """Answers `verb` with `said` so many times from the `first` on, for one reader if given."""
    number = count(1)

    def answer(asked: str, argument: str) -> str | None:
        if asked == verb and reader in argument and first <= next(number) < first + times:
            return said
        return fine(asked, argument)

    return answer


def when(verb: str, reader: str, do: Callable[[], None]) -> Answer:
    """Does something when the relay is first asked about this reader, before it answers."""
    done: list[str] = []

    def answer(asked: str, argument: str) -> str | None:
        if asked == verb and reader in argument and not done:
            done.append(argument)
            do()
        return fine(asked, argument)

    return answer


def leave(post: Post, number: int) -> None:
    post.change(
        update(Subscription)
        .where(Subscription.id == post.row(number).subscription_id)
        .values(left_at=utc_now())
    )


# The good way.


def test_every_reader_gets_the_digest_once(post: Post) -> None:
    relay = post.send_to(50)
    assert relay.recipients == sorted(address(number) for number in range(1, 51))
    assert len({mail.header("Message-ID") for mail in relay.mails}) == 50
    found = post.counts()
    assert (found.total, found.sent, found.in_doubt) == (50, 50, 0)
    assert 1 <= relay.connections <= 4
    assert relay.count("QUIT") == relay.connections
    assert relay.count("RSET") == 0


def test_a_reader_s_mail_has_links_of_their_own(post: Post) -> None:
    relay = post.send_to(2)
    for mail in relay.mails:
        with post.database.read() as session:
            delivery, public_id = session.execute(
                select(Delivery, Subscription.public_id)
                .join(Subscription, Subscription.id == Delivery.subscription_id)
                .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
                .where(Subscriber.address == mail.recipient)
            ).one()
        url = (mail.header("List-Unsubscribe") or "").strip("<>")
        token = url.removeprefix(f"{BASE_URL}/unsubscribe/")
        assert post.keys.read(token, Purpose.UNSUBSCRIBE, NOW) == public_id
        assert mail.header("To") == mail.recipient
        assert mail.sender == "daily@news.example"
        assert mail.header("X-Mailer-Delivery") == str(delivery.id)
        assert mail.header("X-Mailer-Digest") == str(post.digest_id)
        reference = post.keys.reference("delivery", delivery.id, delivery.created_at)
        assert mail.header("Message-ID") == f"<{reference}@news.example>"
        assert token in mail.data.decode()


@pytest.mark.parametrize(
    ("name", "hello"),
    [(None, ""), ("Anna Bell", "Hello Anna Bell,"), ("locked: https://evil.example/login", "")],
)
def test_a_greeting_shows_no_name_that_is_none(post: Post, name: str | None, hello: str) -> None:
    post.build(1)
    post.change(update(Subscriber).values(name=name))
    html, text = "<i>Day</i>\n<p>XKGREETINGZ</p>\n<b>News</b>", "Day\n\nXKGREETINGZ\n\nNews"
    post.change(update(Edition).values(html=html, text=text))
    relay = post.send()
    text, page = message_from_bytes(relay.mails[0].data).get_payload()
    line = f"{hello}\r\n\r\n" if hello else ""
    assert text.get_payload(decode=True).decode() == f"Day\r\n\r\n{line}News\r\n"
    line = f"<p>{hello}</p>\r\n" if hello else ""
    assert page.get_payload(decode=True).decode() == f"<i>Day</i>\r\n{line}<b>News</b>\r\n"


def test_a_confirmation_carries_links_that_expire_with_the_sign_up(post: Post) -> None:
    content = {
        "html": "<p>XKGREETINGZ</p><a href='XKCONFIRMZ'>Yes</a><a href='XKNOTMEZ'>No</a>",
        "text": "XKCONFIRMZ XKNOTMEZ",
    }
    with post.database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        signup = factories.signup(session, post.keys, schedule, name="Visit evil.example")
        notice = factories.notice(session, post.keys, signup_id=signup.id, **content)
        public_id, expires = signup.public_id, signup.expires_at
    with post.relay() as relay:
        wait_until(lambda: relay.mails)
    [mail] = relay.mails
    text = mail.data.decode().replace("=\r\n", "")
    assert "evil.example" not in text
    for path, purpose in (("confirm", Purpose.CONFIRM), ("not-me", Purpose.NOT_ME)):
        token = text.partition(f"{BASE_URL}/{path}/")[2].partition("'")[0]
        assert post.keys.read(token, purpose, expires - timedelta(seconds=1)) == public_id
        assert post.keys.make(purpose, public_id, expires) == token
    with post.database.read() as session:
        assert session.get_one(Notice, notice.id).status is S.SENT


def test_a_preferences_link_lives_one_hour_from_when_it_goes_out(post: Post) -> None:
    with post.database.write() as session:
        reader = factories.subscriber(session, post.keys)
    notice = post.notice(
        reader.address,
        kind=NoticeKind.PREFERENCES,
        subscriber_id=reader.id,
        html="<a href='XKPREFERENCESZ'>Go</a>",
        text="XKPREFERENCESZ",
        # It was held, or waited for a relay.
        created_at=NOW - timedelta(days=1),
    )
    with post.relay() as relay:
        wait_until(lambda: relay.mails)
    with post.database.read() as session:
        went_out = session.get_one(Notice, notice.id).first_attempt_at
    assert went_out is not None
    token = post.keys.make(Purpose.PREFERENCES, reader.public_id, went_out + timedelta(hours=1))
    assert f"{BASE_URL}/preferences/{token}" in relay.mails[0].data.decode().replace("=\r\n", "")


def test_a_retry_is_the_same_mail(post: Post) -> None:
    post.build(1)
    # Taken, but the answer never comes: the second copy must be recognised as the first.
    relay = post.send(at("DOT", None, times=1), retry=AT_ONCE)
    first, second = relay.mails
    assert first.data == second.data
    found = post.row()
    assert (found.status, found.in_doubt, found.attempts) == (S.SENT, 1, 2)


@pytest.mark.parametrize(
    ("seconds", "woken"), [(1000.0, True), (0.1, False)], ids=["at once when woken", "in seconds"]
)
def test_what_is_queued_later_is_found(
    post: Post, monkeypatch: pytest.MonkeyPatch, seconds: float, woken: bool
) -> None:
    monkeypatch.setattr(outbox, "LOOK_SECONDS", seconds)
    with receiver() as relay, sending(post.sender(relay.port)) as sender:
        wait_until(lambda: not sender._in_flight._outbox._more_waits)
        post.notice()
        if woken:
            sender.wake()
        wait_until(lambda: relay.mails)


@pytest.mark.parametrize("offers", [fine, pipelining(fine)], ids=["plain", "pipelining"])
def test_connections_are_used_again_and_changed_in_time(post: Post, offers: Answer) -> None:
    """Where mails overlap, the next one begins behind the final dot."""
    post.build(21)
    with (
        receiver(offers) as relay,
        sending(post.sender(relay.port, connections=1, messages_per_connection=5)) as sender,
    ):
        wait_until(post.is_sent)
        assert not sender._in_flight._connections.busy
    assert post.counts() == digest_state.Counts(21, 0, 21, 0, 0, 0, 0, 0)
    assert relay.recipients == sorted(address(number) for number in range(1, 22))
    assert (relay.connections, relay.count("MAIL")) == (5, 21)


# Mails that overlap on a connection.


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("said", ["421 4.3.2 shutting down", None])
def test_a_mail_behind_one_whose_connection_is_lost_goes_out_on_another(
    post: Post, verb: str, said: str | None
) -> None:
    third = at(verb, said, first=3, times=1)
    relay = post.send_to(8, pipelining(third), connections=1, retry=AT_ONCE)
    doubtful = int(verb == "DOT" and said is None)
    found = post.counts()
    assert (found.sent, found.failed, found.in_doubt) == (8, 0, doubtful)
    assert len(relay.mails) == 8 + doubtful
    for number in range(4, 9):
        assert post.row(number).attempts == 1


def test_refused_readers_among_overlapping_mails_fail_alone(post: Post) -> None:
    post.build(20)
    refused = {address(number) for number in (1, 7, 8, 20)}

    def answer(verb: str, argument: str) -> str | None:
        if verb == "RCPT":
            here.refused = argument.partition("<")[2].rstrip(">") in refused
            return "550 5.1.1 unknown" if here.refused else "250 ok"
        if verb == "DATA" and here.refused:
            return "554 5.5.1 no valid recipients"
        return fine(verb, argument)

    here = threading.local()
    relay = post.send(pipelining(answer), connections=2)
    assert post.counts() == digest_state.Counts(20, 0, 16, 4, 0, 0, 0, 0)
    assert refused.isdisjoint(relay.recipients)
    assert (post.row(7).step, post.row(7).code) == ("rcpt", 550)
    assert relay.count("RSET") == 4


# What the relay refuses.


def test_one_reader_s_refusal_fails_that_reader_only(post: Post) -> None:
    answer = at("RCPT", f"550 5.1.1 <{address(5)}>: unknown", reader=address(5))
    relay = post.send_to(10, answer, connections=1)
    assert post.counts() == digest_state.Counts(10, 0, 9, 1, 0, 0, 0, 0)
    found = post.row(5)
    assert (found.status, found.step, found.code) == (S.FAILED, "rcpt", 550)
    assert found.reply == "5.1.1 <***>: unknown"
    assert (relay.connections, relay.count("RSET")) == (1, 1)
    assert address(5) not in relay.recipients


def test_a_greylisted_reader_is_tried_again_later(post: Post) -> None:
    post.build(3)
    answer = at("RCPT", "450 4.2.0 greylisted", times=1, reader=address(2))
    plan = RetryPlan((timedelta(seconds=1),), timedelta(hours=1))
    with post.relay(answer, retry=plan) as relay:
        wait_until(lambda: post.counts().sent == 2)
        wait_until(lambda: post.row(2).attempts == 1)
        wait_until(post.is_sent)
    assert post.row(2).attempts == 2
    assert len(relay.mails) == 3


def test_a_reader_who_is_always_deferred_is_given_up(post: Post) -> None:
    plan = RetryPlan((timedelta(0), timedelta(hours=2)), timedelta(hours=1))
    post.send_to(1, at("RCPT", "450 4.2.0 not today"), retry=plan)
    found = post.row()
    assert (found.status, found.attempts, found.reply) == (S.FAILED, 2, "4.2.0 not today")


@pytest.mark.parametrize("said", ["550 5.7.1 you may not", "530 5.7.0 authenticate first"])
def test_a_relay_that_refuses_us_blames_nobody(
    post: Post, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    post.build(20)
    with post.relay(at("MAIL", said)) as relay:
        wait_until(lambda: "the relay refuses us" in caplog.text)
        wait_until(lambda: post.counts().pending == 20)
        wait_until(lambda: post.row().status is S.QUEUED)
    assert relay.count("MAIL") <= 8
    assert relay.count("RCPT") == 0
    assert post.row().attempts == 0


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("said", ["421 4.3.2 shutting down", None])
def test_a_relay_that_goes_away_once_is_found_again(
    post: Post, verb: str, said: str | None
) -> None:
    relay = post.send_to(6, at(verb, said, times=1), connections=1, retry=AT_ONCE)
    doubtful = int(verb == "DOT" and said is None)
    found = post.counts()
    assert (found.sent, found.failed, found.in_doubt) == (6, 0, doubtful)
    assert len(relay.mails) == 6 + doubtful


def test_a_relay_that_never_answers_the_dot_gets_two_copies_and_no_more(post: Post) -> None:
    relay = post.send_to(1, at("DOT", None), retry=AT_ONCE)
    found = post.row()
    assert (found.status, found.in_doubt, found.step) == (S.UNKNOWN, 2, "dot")
    assert len(relay.mails) == 2


def test_with_hold_a_mail_in_doubt_stays(post: Post) -> None:
    relay = post.send_to(1, at("DOT", None), resend=False)
    assert (post.row().status, post.row().in_doubt) == (S.UNKNOWN, 1)
    assert len(relay.mails) == 1


def test_a_connection_that_was_closed_while_idle_is_opened_anew_without_a_word(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.build(5)
    here = threading.local()

    def one_mail_a_connection(verb: str, argument: str) -> str | None:
        if verb == "MAIL":
            here.mails = getattr(here, "mails", 0) + 1
            if here.mails > 1:
                return None
        return fine(verb, argument)

    relay = post.send(one_mail_a_connection, connections=1)
    assert relay.connections == 5
    assert len(relay.mails) == 5
    assert "relay failed" not in caplog.text
    assert post.row(5).attempts == 1


def test_a_relay_that_cannot_be_reached_is_left_alone_and_nobody_is_charged(
    post: Post, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    post.build(5)
    with sending(post.sender(free_port)):
        wait_until(lambda: "the relay failed" in caplog.text)
        wait_until(lambda: post.row().status is S.QUEUED)
        with receiver(port=free_port) as relay:
            wait_until(post.is_sent)
            assert len(relay.mails) == 5
    assert post.row().attempts == 1


# What we cannot send.


def change_reader(post: Post, number: int, new: str) -> None:
    post.change(update(Subscriber).where(Subscriber.address == address(number)).values(address=new))


def test_a_local_part_outside_ascii_goes_where_smtputf8_is_offered(post: Post) -> None:
    post.build(1)
    change_reader(post, 1, "արամ@example.com")
    relay = post.send()
    assert relay.recipients == ["արամ@example.com"]
    assert any("SMTPUTF8" in command for command in relay.commands)


def test_a_local_part_outside_ascii_fails_alone_where_smtputf8_is_not_offered(post: Post) -> None:
    """They come first in each digest, and more of them than connections must not pause it."""
    bad = [f"արամ{number}@example.com" for number in range(1, 13)]
    post.build(len(bad) + 2)
    for number, to in enumerate(bad, 1):
        change_reader(post, number, to)
    relay = post.send(at("EHLO", "250 relay"))
    for to in bad:
        found = post.delivery_to(to)
        assert found.status is S.FAILED
        assert (found.reply or "").startswith("unsupported_eai")
    assert relay.recipients == [address(13), address(14)]


def test_an_international_domain_is_sent_as_a_labels(post: Post) -> None:
    post.build(1)
    change_reader(post, 1, "aram@օրինակ.example")
    relay = post.send(at("EHLO", "250 relay"))
    assert relay.recipients[0].isascii()


def test_a_mail_that_is_larger_than_the_relay_takes_is_not_begun(post: Post) -> None:
    relay = post.send_to(2, at("EHLO", "250-relay\r\n250 SIZE 100"))
    assert relay.count("MAIL") == 0
    assert post.counts().failed == 2
    assert "100" in (post.row().reply or "")


@pytest.mark.parametrize("bad", ["no address", "a b@example.com", "x@example.com>\r\nRCPT TO:<y"])
def test_an_address_that_cannot_be_written_fails_alone(post: Post, bad: str) -> None:
    post.build(3)
    change_reader(post, 2, bad)
    relay = post.send()
    assert post.delivery_to(bad).status is S.FAILED
    assert relay.recipients == [address(1), address(3)]


def test_a_fault_in_composing_fails_one_reader_only(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.build(5)
    whole = Composer.compose

    def compose(self: Composer, letter: OutgoingMail, *, utf8: bool) -> Any:
        if letter.address == address(3):
            raise RuntimeError("a fault of ours")
        return whole(self, letter, utf8=utf8)

    monkeypatch.setattr(Composer, "compose", compose)
    relay = post.send()
    found = post.row(3)
    assert (found.status, found.step) == (S.FAILED, "compose")
    assert "RuntimeError" in (found.reply or "")
    assert len(relay.mails) == 4


def test_an_edition_that_cannot_be_composed_fails_with_its_reason(post: Post) -> None:
    post.build(2)
    post.change(update(factories.Edition).values(html="xk broken XK marker"))
    relay = post.send()
    assert relay.count("MAIL") == 0
    assert post.counts().failed == 2
    assert "template" in (post.row().reply or "")


def test_a_confirmation_whose_sign_up_is_gone_fails(post: Post) -> None:
    notice = post.notice(html="XKCONFIRMZ", text="XKCONFIRMZ")
    with post.relay() as relay:

        def failed() -> bool:
            with post.database.read() as session:
                return session.get_one(Notice, notice.id).status is S.FAILED

        wait_until(failed)
    assert relay.count("MAIL") == 0


# What changes while a mail is on its way.


@pytest.mark.parametrize(
    ("offering", "verb", "number"),
    [(plain, "RCPT", 3), (pipelining, "DOT", 2)],
    ids=["alone", "behind another mail"],
)
def test_a_reader_who_leaves_before_the_dot_gets_no_mail(
    post: Post, offering: Callable[[Answer], Answer], verb: str, number: int
) -> None:
    answer = when(verb, address(number), lambda: leave(post, 3))
    relay = post.send_to(5, offering(answer), connections=1)
    assert (post.row(3).status, post.row(3).reply) == (S.SKIPPED, "left")
    assert relay.recipients == [address(number) for number in (1, 2, 4, 5)]


def test_pause_stops_what_has_not_started(post: Post) -> None:
    post.build(10)

    def pause() -> None:
        post.change(update(Installation).values(paused_at=NOW))

    with post.relay(when("RCPT", address(3), pause), connections=1) as relay:
        wait_until(lambda: post.counts().sent == 2)
        wait_until(lambda: post.row(3).status is S.QUEUED)
        post.change(update(Installation).values(paused_at=None))
        wait_until(post.is_sent)
    assert len(relay.mails) == 10
    assert post.counts().in_doubt == 0


def test_a_cancelled_digest_stops(post: Post) -> None:
    post.build(10)

    def cancel() -> None:
        with post.database.write() as session:
            digest_state.cancel_digest(session, post.digest_id, NOW)

    with post.relay(when("RCPT", address(3), cancel), connections=1) as relay:
        wait_until(lambda: post.counts().pending == 0)
    assert relay.recipients == [address(1), address(2)]
    assert post.counts().cancelled == 8


# Faults of ours.


def test_while_nothing_can_be_recorded_nothing_starts(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post.build(30)
    broken = threading.Event()
    whole = outcomes.record_and_start
    refused: list[int] = []

    def record(worker_id: int, results: Any, *more: Any, **options: Any) -> Any:
        if broken.is_set() and results:
            refused.append(len(results))
            raise OperationalError("UPDATE delivery", None, Exception("disk full"))
        return whole(worker_id, results, *more, **options)

    def accept(mail: object) -> None:
        if len(relay.mails) == 9:
            broken.set()

    monkeypatch.setattr(outcomes, "record_and_start", record)
    with receiver(accept=accept) as relay, sending(post.sender(relay.port)):
        wait_until(lambda: len(refused) >= 3)
        while_broken = len(relay.mails)
        wait_until(lambda: len(refused) >= 5)
        assert len(relay.mails) == while_broken <= 9 + 4
        broken.clear()
        wait_until(post.is_sent)
    assert len(relay.mails) == 30
    assert post.counts() == digest_state.Counts(30, 0, 30, 0, 0, 0, 0, 0)
    assert caplog.text.count("the database cannot be used") == 1


@pytest.mark.parametrize(
    ("module", "step", "readers", "begun"),
    # Not the first claim, so that mails are under way which are ours still.
    [(outcomes, "record_and_start", 10, 0), (claims, "claim", 120, 3)],
)
def test_a_commit_whose_answer_is_lost_sends_each_mail_once(
    post: Post, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, readers: int, begun: int
) -> None:
    post.build(readers)
    whole = getattr(module, step)
    lost: list[object] = []

    def losing(*given: Any, **more: Any) -> Queries[Any]:
        found = yield from whole(*given, **more)
        rows = found[0] if step == "claim" else found
        if rows and len(relay.mails) >= begun and not lost:
            lost.append(rows)
            yield Query(Prepared(text("COMMIT")), {})
            raise OperationalError("COMMIT", None, Exception("the answer was lost"))
        return found

    monkeypatch.setattr(module, step, losing)
    with receiver() as relay, sending(post.sender(relay.port, connections=2)):
        wait_until(post.is_sent)
    assert lost
    assert relay.recipients == sorted(address(number) for number in range(1, readers + 1))
    assert post.counts() == digest_state.Counts(readers, 0, readers, 0, 0, 0, 0, 0)


def test_a_fault_in_the_loop_loses_no_outcome(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.build(10)
    whole = InFlight.step
    failed: list[int] = []

    def step(self: InFlight, *given: Any) -> Any:
        actions = whole(self, *given)
        if len(relay.mails) >= 3 and not failed:
            failed.append(1)
            raise RuntimeError("a fault of ours")
        return actions

    monkeypatch.setattr(InFlight, "step", step)
    with receiver() as relay, sending(post.sender(relay.port, connections=2, retry=AT_ONCE)):
        wait_until(post.is_sent)
    found = post.counts()
    assert failed
    assert found.sent == 10
    assert len(relay.mails) - 10 <= found.in_doubt <= 2


def test_a_fault_that_stays_does_not_spin(
    post: Post, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    turns: list[float] = []

    def turn(self: Sender, events: list[SendEvent]) -> None:
        if not any(isinstance(event, Fault) for event in events):
            turns.append(time.monotonic())
        if len(turns) == 3:
            stop.set()
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Sender, "_turn", turn)
    monkeypatch.setattr(send_loop, "FAULT_PAUSE_SECONDS", 0.2)
    post.sender(free_port).run(stop)
    assert min(turns[1] - turns[0], turns[2] - turns[1]) >= 0.2


def test_a_worker_that_others_may_hold_for_dead_starts_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.build(10)
    alive = threading.Event()
    alive.set()
    monkeypatch.setattr(SenderHeartbeat, "alive", property(lambda self: alive.is_set()))

    def accept(mail: object) -> None:
        if len(relay.mails) == 2:
            alive.clear()

    with receiver(accept=accept) as relay, sending(post.sender(relay.port, connections=1)):
        wait_until(lambda: post.counts().sent == 3)
        wait_until(lambda: relay.count("DATA") == 4)
        assert len(relay.mails) == 3
        alive.set()
        wait_until(post.is_sent)
    assert len(relay.mails) == 10


def test_a_worker_that_was_held_for_dead_goes_on_under_another_id(post: Post) -> None:
    post.build(10)
    ids: list[int] = []

    def declare_dead() -> None:
        with post.database.write() as session:
            ids.extend(session.scalars(select(Worker.id)))
            recovery.recover(session, ids, resend=True, now=NOW)
            session.execute(update(Worker).values(stopped_at=NOW))
        # Until its next beat it does not know, and may go on under the old id.
        wait_until(lambda: sender._heartbeat.worker_id not in ids)
        ids.append(sender._heartbeat.worker_id)

    with receiver(when("RCPT", address(3), declare_dead)) as relay:
        sender = post.sender(relay.port, connections=1, lease_seconds=2)
        with sending(sender):
            wait_until(post.is_sent)
    first, second = ids
    assert relay.recipients == sorted(address(number) for number in range(1, 11))
    assert post.counts().in_doubt == 0
    assert [post.row(number).worker_id for number in (1, 2)] == [first, first]
    assert {post.row(number).worker_id for number in range(3, 11)} == {second}


# The end.


def test_told_to_stop_it_finishes_what_is_on_its_way_and_gives_back_the_rest(post: Post) -> None:
    post.build(50)
    go_on = threading.Event()

    def slow(verb: str, argument: str) -> str | None:
        if verb == "DOT" and len(relay.mails) >= 4:
            go_on.wait(120)
        return fine(verb, argument)

    with receiver(slow) as relay:
        with sending(post.sender(relay.port)) as sender:
            wait_until(
                lambda: len(sender._in_flight._connections.busy) == 4 and len(relay.mails) == 4
            )
            wait_until(
                lambda: all(
                    one.phase is Phase.STARTED for one in sender._in_flight._connections.busy
                )
            )
            threading.Timer(0.5, go_on.set).start()
        found = post.counts()
    assert found.sent == len(relay.mails) == 8
    assert found.in_doubt == 0
    with post.database.read() as session:
        held = session.scalars(select(Delivery.id).where(Delivery.status == S.CLAIMED)).all()
        assert held == []
        assert session.scalars(select(Worker.stopped_at)).one() is not None


def test_what_is_not_answered_in_time_is_in_doubt_and_named(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(owner, "DRAIN_SECONDS", 0.5)
    post.build(50)
    go_on = threading.Event()
    with receiver(holding(go_on)) as relay:
        with sending(post.sender(relay.port)) as sender:
            wait_until(lambda: len(sender._in_flight._connections.busy) == 4)
            wait_until(
                lambda: all(
                    one.phase is Phase.STARTED for one in sender._in_flight._connections.busy
                )
            )
            rows = [
                pooled.mail.claim.row.id
                for pooled in sender._in_flight._connections.busy
                if pooled.mail
            ]
        found = post.counts()
        go_on.set()
    assert found.in_doubt == 4
    assert found.pending == 50
    for row_id in rows:
        assert f"in doubt: delivery {row_id}" in caplog.text


def test_two_senders_share_the_work(post: Post) -> None:
    post.build(200)
    with post.relay() as relay, sending(post.sender(relay.port)):
        wait_until(post.is_sent)
    assert relay.recipients == sorted(address(number) for number in range(1, 201))
    assert post.counts().in_doubt == 0


def test_the_password_and_the_address_are_in_no_log(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.build(2)
    answer = at("RCPT", f"421 4.7.0 {address(1)} is blocked", times=1)
    with caplog.at_level(logging.DEBUG, "mailer"):
        post.send(answer, retry=AT_ONCE)
    assert "the relay failed" in caplog.text
    assert "reader1" not in caplog.text
