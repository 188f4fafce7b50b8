"""The progress of `digest send --wait` in words, and how often it is told."""

import pytest

from mailer.cli.digest.progress import Speed, in_words, lines
from mailer.ledger.digest_state import Counts


def counts(total: int, pending: int) -> Counts:
    return Counts(
        total=total, pending=pending, sent=total - pending, failed=0, skipped=0, unknown=0,
        cancelled=0, in_doubt=0,
    )  # fmt: skip


def test_speed_is_of_the_last_minute() -> None:
    speed = Speed()
    assert speed.at(0, 0) == 0
    assert speed.at(10, 100) == 10
    assert speed.at(40, 100) == 2.5
    assert speed.at(65, 200) == pytest.approx(100 / 55)
    assert speed.at(200, 200) == 0


@pytest.mark.parametrize(
    ("pending", "speed", "words"),
    [
        (200, 0.0, "0 of 200 mails done"),
        (80, 30.0, "120 of 200 mails done, 30/s, 3s left"),
        (199, 0.02, "1 of 200 mails done, 0.02/s, 2h 45m left"),
        (0, 30.0, "200 of 200 mails done"),
    ],
)
def test_progress_in_words(pending: int, speed: float, words: str) -> None:
    assert in_words(counts(200, pending), speed) == words


def test_the_progress_of_one_mail_in_words() -> None:
    assert in_words(counts(1, 0), 0) == "1 of 1 mail done"


def test_a_log_gets_a_line_at_once_and_then_every_ten_seconds() -> None:
    told: list[str] = []
    now = 100.0
    show = lines(told.append, lambda: now)
    for now in (100.0, 103.0, 109.9, 110.0, 119.0, 121.0):
        show(counts(50, 50 - int(now - 100)))
    assert told == [
        "0 of 50 mails done",
        "10 of 50 mails done, 1/s, 40s left",
        "21 of 50 mails done, 1/s, 29s left",
    ]
