from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feeds.reading.dates import read_instant

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
        "երք, 24 նոյ 2026 13:00:00 +0400",
        "24.11.2026 09:00",
        "Tue, 24 Nov 2026 10:00:00 +01:00",
        "Tue, 24 Nov 2026 10:00:00 GMT+0100",
        "Tue Nov 24 2026 13:00:00 GMT+0400 (Armenia Standard Time)",
        "Tue, 24 Nov 2026 11:00:00 UTC+2",
        "Tue, 24 Nov 2026 10:00:00 +1",
        "Tue, 24 Nov 2026 14:30:00 +0530 IST",
        "Tue, 24 Nov 2026 09:00:00 +00",
        "Tue, 24 Nov 2026 10:00:00 BST",
        "Tuesday, November 24, 2026 9:00 AM",
        "Nov 24, 2026 1:00 PM +0400",
        "2026-11-24 04:00:00 EST",
        "2026-11-24T05:00:00\N{MINUS SIGN}04:00",
        "2026-11-24T09Z",
        "2026-11-24T9:00:00Z",
        "2026/11/24 09:00:00",
        "11/24/2026 9:00 AM",
        "24/11/2026 09:00",
        "24-11-2026 09:00",
        "20261124090000",
        "1795510800.25",
        "2026년 11월 24일 오후 6:00 KST",
        "2026年11月24日 09:00",
        "Di, 24 Nov 2026 10:00:00 +0100",
        "الثلاثاء, 24 نوفمبر 2026 09:00:00 +0000",
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
        ("Di, 3 Mrz 2026 9:05:07 GMT", datetime(2026, 3, 3, 9, 5, 7, tzinfo=UTC)),
        ("2026-1-5T9:05:03Z", datetime(2026, 1, 5, 9, 5, 3, tzinfo=UTC)),
        ("7/7/2026", datetime(2026, 7, 7, tzinfo=UTC)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_edges(text: str, expected: datetime) -> None:
    assert read_instant(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01", "2026-02-30T10:00:00Z", "Tue, 31 Feb 2026 09:00:00 GMT",
     "2026-11-24T25:00:00Z", "11/10/2026", "24 Foo 2026", "32.11.2026",
     "Mon, 30 Nov -0001 00:00:00 +0000",
     "Mon, 01 Jan 0001 00:00:00 +0000", "Wed, 30 Nov 0000 00:00:00 GMT",
     "0000-00-00 00:00:00", "99999999999999999999"],
)  # fmt: skip
def test_no_instant(text: str) -> None:
    assert read_instant(text) is None


def test_another_reading_is_used_for_other_forms() -> None:
    guess = NINE.utctimetuple()
    assert read_instant("the 24th, ninth hour", guess) == NINE
    # The library reads a part of what it does not know, and makes up the rest.
    assert read_instant("the ninth hour of the 23rd", guess) is None
    assert read_instant("2026-328T09:00:00Z", guess) == NINE
    assert read_instant("2026-11-24T10:00:00Z", guess) != NINE


@given(st.text(max_size=40) | st.from_regex(r"\d{1,5}[-/ ]\w{1,4}[-/ T]\d{1,5}[:T ]\d{1,3}.{0,12}"))
def test_any_text_is_an_aware_instant_or_none(text: str) -> None:
    found = read_instant(text)
    assert found is None or found.tzinfo is UTC
