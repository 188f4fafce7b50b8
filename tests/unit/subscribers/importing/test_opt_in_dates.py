"""Dates in all the forms in which services write them; what could be read in two ways is never guessed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.subscribers.importing.opt_in_dates import DateOrder, DateProblem, read_date
from mailer.subscribers.importing.rows import ImportRow
from tests.support.imported_rows import NOW, read, read_file

TIME = datetime(2025, 4, 3, 18, 22, 11, tzinfo=UTC)
DAY_FIRST, MONTH_FIRST = DateOrder


@pytest.mark.parametrize(
    "text",
    [
        "2025-04-03 18:22:11",
        "2025-04-03T18:22:11Z",
        "2025-04-03T18:22:11.000Z",
        "2025-04-03T22:22:11+04:00",
        "2025-04-03 18:22:11.123456 +0000 UTC",
        "2025-04-03 22:22:11 +0400 +04",
        "2025-04-03 18:22:11 UTC",
        "2025/04/03 6:22:11 PM",
        "2025/04/03 10:22:11 PM GMT+4",
        "3.4.2025 18:22:11",
        "03.04.2025, 18:22:11",
        "Apr 3, 2025 6:22:11 pm",
        "April 3rd, 2025 at 6:22:11 PM",
        "Thu, 03 Apr 2025 18:22:11 +0000",
        "3 Apr 2025 18:22:11",
        "1743704531",
        "1743704531999",
    ],
)
def test_forms_that_can_be_read_in_one_way(text: str) -> None:
    for order in (None, DAY_FIRST, MONTH_FIRST):
        time = read_date(text, order, NOW)
        assert isinstance(time, datetime), text
        assert time.replace(microsecond=0) == TIME
        assert time.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("03/04/2025", DAY_FIRST, "2025-04-03"),
        ("03/04/2025", MONTH_FIRST, "2025-03-04"),
        ("03-04-2025 09:30", DAY_FIRST, "2025-04-03T09:30"),
        ("03/04/25", MONTH_FIRST, "2025-03-04"),
        ("13/04/2025", None, "2025-04-13"),
        ("13/04/2025", MONTH_FIRST, "2025-04-13"),
        ("04/13/2025", None, "2025-04-13"),
        ("04/13/2025 1:05 AM", DAY_FIRST, "2025-04-13T01:05"),
        ("05/05/2025", None, "2025-05-05"),
        ("12:00 AM", None, DateProblem.UNREADABLE),
        ("04/13/2025 12:05 AM", None, "2025-04-13T00:05"),
        ("20250413", None, "2025-04-13"),
        ("2025-4-3", None, "2025-04-03"),
        ("03/04/2025", None, DateProblem.AMBIGUOUS),
        ("03-04-2025 09:30", None, DateProblem.AMBIGUOUS),
        ("", None, None),
        ("0000-00-00 00:00:00", None, None),
        ("yesterday", None, DateProblem.UNREADABLE),
        ("31.02.2025", None, DateProblem.UNREADABLE),
        ("99/99/2025", None, DateProblem.UNREADABLE),
        ("2025-04-03 25:00:00 UTC", None, DateProblem.UNREADABLE),
        ("2025-04-03 10:00 +99:99", None, DateProblem.UNREADABLE),
        ("2027-01-01", None, DateProblem.IMPOSSIBLE),
        ("1970-01-01 00:00:00", None, DateProblem.IMPOSSIBLE),
        ("0001-01-01T00:00:00+23:00", None, DateProblem.IMPOSSIBLE),
        ("9999999999", None, DateProblem.IMPOSSIBLE),
        ("45291.5", None, DateProblem.UNREADABLE),
        ("٣/٤/٢٠٢٥", DAY_FIRST, DateProblem.UNREADABLE),
        ("1" * 100_000, None, DateProblem.UNREADABLE),
    ],
)
def test_what_comes_out(
    text: str, order: DateOrder | None, expected: str | DateProblem | None
) -> None:
    found = read_date(text, order, NOW)
    if type(expected) is str:
        assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    else:
        assert found is expected


@settings(max_examples=200)
@given(
    st.text(max_size=70) | st.from_regex(r"[0-9/:. APMZ+-]{1,40}"),
    st.sampled_from([None, *DateOrder]),
)
def test_no_text_is_an_error_or_a_time_in_the_future(text: str, order: DateOrder | None) -> None:
    found = read_date(text.strip(), order, NOW)
    assert not isinstance(found, datetime) or found <= NOW


def test_the_row_is_kept_without_its_date_and_the_warning_says_what_to_do(tmp_path: Path) -> None:
    data = b"email,signed up\na@example.com,03/04/2025\nb@example.com,04/04/2025\nc@example.com,05/04/2025\n"
    reader_file = read_file(tmp_path, data)
    times = [row.opted_in_at for row in reader_file.rows if isinstance(row, ImportRow)]
    assert [time is None for time in times] == [True, False, True]
    (warning,) = reader_file.warnings
    assert warning.startswith(
        "2 dates could be day first or month first; say which with --dates dmy"
    )
    assert "the first on line 2" in warning

    row = read(tmp_path, data, dates=DAY_FIRST)[2]
    assert isinstance(row, ImportRow)
    assert row.opted_in_at == datetime(2025, 4, 5, tzinfo=UTC)


def test_brevo_writes_the_day_first_unless_staff_say_otherwise(tmp_path: Path) -> None:
    data = b"EMAIL;EMAIL_BLACKLISTED;ADDED_TIME\na@example.com;No;03-04-2025 09:30\n"
    for order, day in ((None, (4, 3)), (MONTH_FIRST, (3, 4))):
        (row,) = read(tmp_path, data, dates=order)
        assert isinstance(row, ImportRow)
        assert row.opted_in_at == datetime(2025, *day, 9, 30, tzinfo=UTC)


def test_the_first_of_several_times_that_is_one_counts(tmp_path: Path) -> None:
    data = b"email,CONFIRM_TIME,CONFIRM_IP,OPTIN_TIME,OPTIN_IP\n"
    data += b"a@example.com,2025-01-02,192.0.2.2,2025-01-01,192.0.2.1\n"
    data += b"b@example.com,2025-01-02,192.0.2.2,,\n"
    data += b"c@example.com,2025-01-02,192.0.2.2,soon,home\n"
    rows = [row for row in read(tmp_path, data) if isinstance(row, ImportRow)]
    assert [row.opted_in_at and row.opted_in_at.day for row in rows] == [1, 2, 2]
    assert [row.opt_in_ip for row in rows] == ["192.0.2.1", "192.0.2.2", "192.0.2.2"]
