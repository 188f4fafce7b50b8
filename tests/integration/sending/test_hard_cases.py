"""What an odd relay, an odd order or an odd setting must not do to all other mail."""

import threading
from datetime import timedelta

from sqlalchemy import select, text

from mailer.models import Delivery, DeliveryStatus, DigestStatus, Notice
from mailer.rate import Rate
from tests.support.receiver import Answer, fine, holding, receiver
from tests.support.sending import Post, sending
from tests.support.waiting import wait_until

DAILY = Rate(1, timedelta(days=1))


def to(reader: str, verb: str, said: str | None) -> Answer:
    """Answers `verb` with `said` whenever it is about this address."""

    def answer(asked: str, argument: str) -> str | None:
        return said if asked == verb and reader in argument else fine(asked, argument)

    return answer


def test_what_cannot_be_read_fails_alone_and_with_its_reason(post: Post) -> None:
    """A delivery, a notice, and a newsletter with an edition, in which a date is none."""
    digests = [post.build(4), post.build(1, "sport", "other")]
    for address in ("newcomer1@example.com", "newcomer2@example.com"):
        post.notice(address)
    with post.database.write() as session:
        for table, row in (
            ("delivery", "min(id)"),
            ("notice", "min(id)"),
            ("newsletter", "max(id)"),
        ):
            session.execute(
                text(
                    f"UPDATE {table} SET created_at = :never WHERE id = (SELECT {row} FROM {table})"
                ),
                {"never": "no date" if post.database.is_sqlite else "infinity"},
            )
    failed = []
    with post.relay() as there:
        wait_until(lambda: all(post.is_sent(one) for one in digests))
        for table in (Delivery, Notice):
            statement = select(table.reply).where(table.status == DeliveryStatus.FAILED)
            with post.database.read() as session:
                failed += session.scalars(statement).all()
    assert there.recipients == [
        "newcomer2@example.com",
        *(f"reader{number}@example.com" for number in (2, 3, 4)),
    ]
    assert len([reply for reply in failed if "cannot be read" in reply]) == len(failed) == 3


def test_a_reply_that_no_database_can_hold_is_recorded_all_the_same(post: Post) -> None:
    relay = post.send_to(3, to("", "DOT", "250 ok\0\x1b[2J\r\x07 queued"))
    assert len(relay.mails) == 3
    assert {post.row(number).reply for number in (1, 2, 3)} == {"ok [2J queued"}


def test_one_confirmation_at_which_the_relay_hangs_up_holds_up_nobody_else(post: Post) -> None:
    post.notice(address="odd@example.com")
    post.send_to(10, to("odd@", "RCPT", "421 4.7.0 not you"))


def test_a_digest_that_is_done_is_closed_while_another_goes_on(post: Post) -> None:
    large, small = post.build(300), post.build(2, "small", "small")
    go_on = threading.Event()
    with post.relay(holding(go_on, 0.05), connections=2):
        wait_until(lambda: post.is_sent(small))
        assert not post.is_sent(large)
        go_on.set()
        wait_until(lambda: post.is_sent(large))


def test_a_token_that_bought_nothing_is_there_for_what_comes_next(post: Post) -> None:
    with receiver() as relay, sending(post.sender(relay.port, rate=DAILY)) as sender:
        wait_until(lambda: not sender._in_flight._outbox._more_waits)
        post.notice()
        wait_until(lambda: relay.mails)


def test_a_token_of_a_mail_that_was_not_begun_is_there_when_the_relay_is_back(post: Post) -> None:
    post.notice()
    away = [True]

    def greet(verb: str, argument: str) -> str | None:
        return None if verb == "CONNECT" and away[0] else fine(verb, argument)

    with post.relay(greet, rate=DAILY) as relay:
        wait_until(lambda: relay.connections)
        away[0] = False
        wait_until(lambda: relay.mails)


def test_a_relay_for_which_every_mail_is_too_large_stops_the_digest(post: Post) -> None:
    post.build(100)
    with post.relay(to("", "EHLO", "250-relay\r\n250 SIZE 100")):
        wait_until(lambda: post.digest().status is not DigestStatus.SENDING)
    assert post.digest().status is DigestStatus.PAUSED
    assert "100" in (post.digest().reason or "")
    # Four, which are too few to stop it, and the next claim of two for each connection.
    assert post.counts().failed <= 12
