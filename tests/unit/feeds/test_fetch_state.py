"""What a feed's row says after a fetch, without a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.errors import FeedBusy, FeedError, FeedGone
from mailer.feeds.fetch_state import asked_pause, due_alert, failed, pause_after, succeeded
from mailer.feeds.http.fetch import Fetched
from mailer.feeds.reading.entry import Document
from mailer.models import Feed

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=2)
INTERVAL = timedelta(minutes=15)
URL, SAME_HOST, ELSEWHERE = (
    "https://news.example/feed",
    "https://www.news.example/rss",
    "https://new.example/feed",
)
DOCUMENT = Document("The News", (), ("odd",))


def feed(**values: Any) -> Feed:
    given = {"id": 1, "url": URL, "title": "News", "failures": 0, "allow_private": True}
    return Feed(**(given | values))


def after(
    row: Feed,
    document: Document | None = DOCUMENT,
    to: str | None = None,
    *,
    is_taken: bool = False,
) -> tuple[str, ...]:
    fetched = Fetched(to or row.url, b"", "text/xml", "e", "m", to)
    return succeeded(row, fetched, document, is_taken=is_taken, now=NOW, interval=INTERVAL)


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("600", timedelta(minutes=10)),
        (" 0 ", timedelta()),
        ("Tue, 24 Nov 2026 11:00:00 GMT", timedelta(hours=1)),
        ("Tue, 24 Nov 2026 09:00:00 GMT", timedelta()),
        ("Fri, 24 Nov 2090 09:00:00 GMT", timedelta(days=1)),
        ("86400000", timedelta(days=1)),
        ("9" * 40, timedelta()),
        ("soon", timedelta()),
        ("-5", timedelta()),
        ("", timedelta()),
    ],
)
def test_asked_pause(retry_after: str, expected: timedelta) -> None:
    assert asked_pause(retry_after, NOW) == expected


@pytest.mark.parametrize(
    ("failures", "interval", "expected"),
    [
        (1, timedelta(minutes=15), timedelta(minutes=30)),
        (4, timedelta(minutes=15), timedelta(hours=4)),
        (5, timedelta(minutes=15), timedelta(hours=6)),
        (5000, timedelta(minutes=15), timedelta(hours=6)),
        (3, timedelta(hours=12), timedelta(hours=12)),
    ],
)
def test_pause_after(failures: int, interval: timedelta, expected: timedelta) -> None:
    assert pause_after(failures, interval) == expected


def test_a_success_ends_a_row_of_failures() -> None:
    row = feed(failures=3, error="x", failing_since=BEFORE, alerted_at=BEFORE, gone_at=BEFORE,
               retry_at=NOW, fetching_until=NOW)  # fmt: skip
    assert after(row) == ("odd",)
    assert (row.failures, row.error, row.failing_since, row.alerted_at) == (0, None, None, None)
    assert (row.gone_at, row.retry_at, row.fetching_until) == (None, None, None)
    assert (row.last_fetched_at, row.last_success_at, row.first_fetched_at) == (NOW, NOW, NOW)
    assert (row.next_fetch_at, row.title, row.etag) == (NOW + INTERVAL, "The News", "e")


def test_where_nothing_has_changed_the_validators_stay() -> None:
    row = feed(etag="before", first_fetched_at=BEFORE)
    assert after(row, None) == ()
    assert (row.etag, row.title, row.next_fetch_at) == ("before", "News", NOW + INTERVAL)


@pytest.mark.parametrize(
    ("row", "is_whole", "etag"),
    [({}, True, "e"), ({}, False, None), ({"held_at": BEFORE}, True, None)],
)
def test_half_a_document_and_a_held_one_give_no_validators(
    row: dict[str, Any], is_whole: bool, etag: str | None
) -> None:
    one = feed(etag="before", **row)
    after(one, Document("The News", (), (), whole=is_whole))
    assert (one.etag, one.validators_url) == (etag, URL)


@pytest.mark.parametrize(
    ("row", "to", "is_taken", "url", "moved_url", "warning"),
    [
        ({}, None, False, URL, None, None),
        ({}, URL, False, URL, None, None),
        ({}, SAME_HOST, False, SAME_HOST, None, "is fetched there from now on"),
        ({}, SAME_HOST, True, URL, None, "already a feed here"),
        ({}, ELSEWHERE, False, URL, ELSEWHERE, "to fetch it there"),
        # Told of once a day, and forgotten once the server says so no more.
        ({"moved_at": BEFORE}, ELSEWHERE, False, URL, None, "to another host"),
        ({"moved_at": NOW - timedelta(days=1)}, ELSEWHERE, False, URL, ELSEWHERE, "another host"),
        ({"moved_url": ELSEWHERE, "moved_at": BEFORE}, None, False, URL, None, None),
        ({"moved_url": ELSEWHERE, "moved_at": BEFORE}, SAME_HOST, True, URL, None, "already"),
    ],
)
def test_where_a_feed_is_after_a_permanent_redirect(
    row: dict[str, Any],
    to: str | None,
    is_taken: bool,
    url: str,
    moved_url: str | None,
    warning: str | None,
) -> None:
    one = feed(**row)
    warnings = after(one, to=to, is_taken=is_taken)
    assert (one.url, one.moved_url) == (url, moved_url)
    assert one.former_url == (URL if url != URL else None)
    if warning is None:
        assert warnings == ("odd",)
    else:
        assert warning in warnings[1]


@pytest.mark.parametrize(
    ("error", "failures", "pause"),
    [
        (FeedError("away"), 0, timedelta(minutes=30)),
        (FeedError("away"), 3, timedelta(hours=4)),
        (FeedBusy("busy", "7200"), 0, timedelta(hours=2)),
        (FeedBusy("busy", "60"), 0, timedelta(minutes=30)),
        (FeedGone(), 0, timedelta(minutes=30)),
    ],
)
def test_a_failure_is_counted(error: FeedError, failures: int, pause: timedelta) -> None:
    row = feed(failures=failures, etag="before", fetching_until=NOW)
    failed(row, error, now=NOW, interval=INTERVAL)
    assert (row.failures, row.failing_since, row.next_fetch_at) == (failures + 1, NOW, NOW + pause)
    assert (row.etag, row.fetching_until, str(error) in str(row.error)) == ("before", None, True)
    assert (row.gone_at is not None) is isinstance(error, FeedGone)
    assert (row.retry_at is not None) is isinstance(error, FeedBusy)
    failed(row, error, now=NOW + timedelta(days=1), interval=INTERVAL)
    assert row.failing_since == NOW


HELD = {"held_at": NOW}
DAY = {"failing_since": NOW - timedelta(days=1), "error": "away"}


@pytest.mark.parametrize(
    ("row", "was_held", "verbs"),
    [
        ({}, False, None),
        (HELD, False, ["accept", "discard"]),
        (HELD, True, None),
        (DAY, True, ["refresh", "list", "remove"]),
        (DAY | {"alerted_at": BEFORE}, True, None),
        ({"failing_since": BEFORE, "error": "away"}, True, None),
        ({"failing_since": NOW, "gone_at": NOW, "error": "gone"}, True, ["refresh", "remove"]),
        ({"moved_url": ELSEWHERE, "moved_at": NOW}, False, ["accept", "remove"]),
        ({"moved_url": ELSEWHERE, "moved_at": BEFORE}, False, None),
        # Accepting does both.
        (HELD | {"moved_url": ELSEWHERE, "moved_at": NOW}, False, ["accept", "discard"]),
    ],
)
def test_when_staff_are_told(row: dict[str, Any], was_held: bool, verbs: list[str] | None) -> None:
    alert = due_alert(feed(**row), was_held=was_held, now=NOW)
    assert (alert and [command.split()[2] for command in alert[1]]) == verbs
