"""Tables: what a cell shows, one line a row, and no matter how many rows."""

import time
from datetime import UTC, datetime

import pytest

from mailer.cli.output import print_table


def test_each_row_is_a_line_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    when = datetime(2026, 11, 24, 6, tzinfo=UTC)
    print_table(
        ("title", "seen", "late"),
        [("[Bold] 新聞", when, True), ("two\nlines \x1b[31m", None, False)],
    )
    assert capsys.readouterr().out.splitlines() == [
        "title            seen                  late",
        "[Bold] 新聞      2026-11-24T06:00:00Z  yes",
        "two lines  [31m                        no",
    ]


def test_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("", ""), [("key", "x" * 20_000)])
    assert capsys.readouterr().out == f"key  {'x' * 20_000}\n"


@pytest.mark.parametrize("headings", [("id", "address"), ("", "")])
def test_nothing_to_print(headings: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    print_table(headings, [])
    assert capsys.readouterr().out.split() == [*filter(None, headings)]


def test_long_tables_take_no_longer_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(number, f"reader{number}@example.com", None) for number in range(20_000)]
    began = time.process_time()
    print_table(("id", "address", "reply"), rows)
    # Half a second here; the table that wraps cells takes six.
    assert time.process_time() - began < 3
    assert capsys.readouterr().out.count("\n") == 20_001
