"""What a sender counts, in words that monitoring can bear, and that nothing of it is lost."""

import threading
import timeit
from collections import Counter
from collections.abc import Callable

import pytest

from mailer.message.smtp_codes import Meaning
from mailer.models import DeliveryStatus
from mailer.sending import counters
from mailer.sending.counters import Counters, reason
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Reply(250, ("2.0.0 OK",)), "accepted"),
        (Reply(550, ("5.1.1 no such user jane@example.com",)), "bad_mailbox"),
        (Reply(552, ("5.2.2 full",)), "mailbox_full"),
        (Reply(451, ("4.3.0 try again",)), "system"),
        (Reply(421, ("bye",)), "closing"),
        (Reply(599), "other"),
        (Lost.DROP, "dropped"),
        (Lost.TIMEOUT, "timeout"),
    ],
)
def test_a_reason_is_one_word_and_never_what_the_relay_wrote(
    answer: Reply | Lost, word: str
) -> None:
    assert reason(answer) == word


def test_every_way_to_lose_a_connection_has_a_word() -> None:
    assert len({reason(lost) for lost in Lost}) == len(Lost)


def test_what_was_noted_is_taken_once() -> None:
    counting = Counters()
    counting.note("sent", "accepted")
    counting.note("sent", "accepted")
    counting.note(DeliveryStatus.FAILED, Meaning.BAD_MAILBOX)
    assert counting.take() == {("sent", "accepted"): 2, ("failed", "bad_mailbox"): 1}
    assert counting.take() == {}


def test_what_is_put_back_comes_with_the_next() -> None:
    counting = Counters()
    counting.note("sent", "accepted")
    taken = counting.take()
    counting.note("sent", "accepted")
    counting.put_back(taken)
    assert counting.take() == {("sent", "accepted"): 2}


def test_words_that_nobody_knows_make_no_series_of_their_own() -> None:
    counting = Counters()
    counting.note("deferred", "550 5.7.1 jane@example.com is not welcome")
    counting.note("skipped", "accepted")
    for word in (
        counters.DROPPED,
        counters.TIMEOUT,
        counters.UNSENDABLE,
        counters.STOPPED,
        "other",
    ):
        counting.note("unknown", word)
    assert counting.take() == {
        ("deferred", "other"): 1,
        **{
            ("unknown", word): 1
            for word in ("dropped", "timeout", "unsendable", "stopped", "other")
        },
    }


def test_nothing_is_lost_between_two_threads() -> None:
    counting = Counters()
    number = 50_000

    def send() -> None:
        for _ in range(number):
            counting.note("sent", "accepted")

    sending = threading.Thread(target=send)
    sending.start()
    found = 0
    while sending.is_alive():
        found += sum(counting.take().values())
    found += sum(counting.take().values())
    assert found == number


def test_counting_costs_next_to_nothing() -> None:
    counting, yardstick = Counters(), Counter[tuple[str, str]]()

    def plain() -> None:
        yardstick["sent", "accepted"] += 1

    def best(act: Callable[[], None]) -> float:
        return min(timeit.repeat(act, number=2000, repeat=20))

    assert best(lambda: counting.note("sent", "accepted")) < 5 * best(plain)
