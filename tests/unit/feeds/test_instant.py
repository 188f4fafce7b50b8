from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feeds.instant import read_instant

NINE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Tue, 24 Nov 2026 09:00:00 GMT",
        "Tue, 24 Nov 2026 09:00:00 +0000",
        "Tue, 24 Nov 2026 10:00:00 +0100",
        "Tue, 24 Nov 2026 10:00:00 CET",
        "Tue, 24 Nov 2026 12:00 MSK",
        "Tue, 24 Nov 2026 04:00:00 EST",
        "24 Nov 2026 09:00 GMT",
        "24 Nov 26 09:00:00 GMT",
        "Wed, 24 Nov 2026 09:00:00 GMT",
        "  Tue,  24 Nov 2026  09:00:00 Z ",
        "2026-11-24T09:00:00Z",
        "2026-11-24T09:00Z",
        "2026-11-24T09:00:00.123456Z",
        "2026-11-24T09:00:00",
        "2026-11-24 09:00:00",
        "2026-11-24 09:00:00 UTC",
        "2026-11-24T13:00:00+04:00",
        "2026-11-24T13:00:00+0400",
        "2026-11-24T14:30:00+05:30",
        "2026-11-24T00:00:00-09:00",
        "20261124T090000Z",
        "1795510800",
        "1795510800000",
        "November 24, 2026 9:00 am",
        "Nov 24, 2026 04:00 EST",
        "Tuesday, November 24, 2026 - 09:00",
        "mar., 24 nov. 2026 10:00:00 +0100",
        "mardi 24 novembre 2026 09:00",
        "Di, 24. November 2026 um 10:00 CET",
        "24 de noviembre de 2026, 09:00",
        "24 listopada 2026 09:00",
        "Вт, 24 ноя 2026 12:00:00 +0300",
        "24 նոյեմբերի 2026, 13:00 +0400",
        "24.11.2026 09:00",
    ],
)
def test_the_same_instant_in_many_forms(text: str) -> None:
    assert read_instant(text) == NINE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-23T24:00:00Z", datetime(2026, 11, 24, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 24:00:00 GMT", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_edges(text: str, expected: datetime) -> None:
    assert read_instant(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01", "2026-02-30T10:00:00Z", "Tue, 31 Feb 2026 09:00:00 GMT",
     "2026-11-24T25:00:00Z", "11/24/2026", "24 Foo 2026", "32.11.2026",
     "0000-00-00 00:00:00", "99999999999999999999"],
)  # fmt: skip
def test_no_instant(text: str) -> None:
    assert read_instant(text) is None


def test_another_reading_is_used_for_other_forms() -> None:
    guess = NINE.utctimetuple()
    assert read_instant("the ninth hour", guess) == NINE
    assert read_instant("2026-11-24T10:00:00Z", guess) != NINE


@given(st.text(max_size=40) | st.from_regex(r"\d{1,5}[-/ ]\w{1,4}[-/ T]\d{1,5}[:T ]\d{1,3}.{0,12}"))
def test_any_text_is_an_aware_instant_or_none(text: str) -> None:
    found = read_instant(text)
    assert found is None or found.tzinfo is UTC
