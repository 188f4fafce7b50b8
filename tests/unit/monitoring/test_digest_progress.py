"""When to wait for a digest, and what keeps it from being sent in words."""

from dataclasses import replace

import pytest

from mailer.ledger.digest_state import Counts
from mailer.models import DigestStatus
from mailer.monitoring.digest_progress import LaterMails, Standing, remaining_seconds, why_not_sent
from tests.support.factories import NOW

COUNTS = Counts(
    total=10, pending=4, sent=5, failed=1, skipped=0, unknown=0, cancelled=0, in_doubt=0
)
STANDING = Standing(DigestStatus.SENDING, None, None, COUNTS, LaterMails(0, None))
NONE_LEFT = replace(COUNTS, pending=0, sent=9)


@pytest.mark.parametrize(
    ("standing", "goes_on"),
    [
        (STANDING, True),
        (replace(STANDING, status=DigestStatus.BUILDING, counts=NONE_LEFT), True),
        # A sender has yet to close it.
        (replace(STANDING, counts=NONE_LEFT), True),
        (replace(STANDING, later=LaterMails(3, NOW)), True),
        (replace(STANDING, later=LaterMails(4, NOW)), False),
        (replace(STANDING, stopped="the relay moves"), False),
        (replace(STANDING, status=DigestStatus.PAUSED), False),
        (replace(STANDING, status=DigestStatus.CANCELLED), False),
        (replace(STANDING, status=DigestStatus.SENT, counts=NONE_LEFT), False),
    ],
)
def test_whether_to_wait(standing: Standing, goes_on: bool) -> None:
    assert standing.goes_on is goes_on


@pytest.mark.parametrize("status", [DigestStatus.SENT, DigestStatus.SKIPPED])
def test_a_digest_that_is_done_with_needs_no_words(status: DigestStatus) -> None:
    assert why_not_sent(replace(STANDING, status=status), 12) is None


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (
            replace(STANDING, status=DigestStatus.PAUSED, reason="5 in a row bounced"),
            ("digest 12 is paused (5 in a row bounced)", "`mailer digest resume 12`", "repeat"),
        ),
        (
            replace(STANDING, stopped="535 bad password"),
            ("all sending is paused (535 bad password)", "`mailer resume`", "repeat"),
        ),
        (
            replace(STANDING, status=DigestStatus.CANCELLED),
            ("digest 12 was cancelled", "`mailer digest show 12`"),
        ),
        (
            replace(STANDING, later=LaterMails(4, NOW)),
            ("4 wait for another try, the next at 2026-11-24 06:00 UTC", "`mailer run`", "repeat"),
        ),
        (STANDING, ("stopped before the end", "repeating the command continues")),
    ],
)
def test_what_keeps_it_from_being_sent(standing: Standing, words: tuple[str, ...]) -> None:
    told = why_not_sent(standing, 12)
    assert told is not None
    for part in (*words, "5 of 10 sent, 1 failed, 4 wait"):
        assert part in told


@pytest.mark.parametrize(
    ("mails", "rate", "seconds"), [(100, 8.0, 12), (0, 8.0, 0), (5, 0.0, None), (5, None, None)]
)
def test_the_time_that_is_left(mails: int, rate: float | None, seconds: int | None) -> None:
    assert remaining_seconds(mails, rate) == seconds
