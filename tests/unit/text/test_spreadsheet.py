"""Cells that no spreadsheet takes for a formula, and that an import takes back as they were."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.subscribers.importing.interpret import _plain
from mailer.text.spreadsheet import csv_lines, neutral


@pytest.mark.parametrize("first", "=+-@\t\r")
def test_no_cell_begins_like_a_formula(first: str) -> None:
    assert neutral(f"{first}cmd|' /C calc'!A0").startswith("'")


@given(text=st.text("=+-@'\t\rab", max_size=6))
def test_an_import_takes_back_what_was_written(text: str) -> None:
    assert neutral(text)[:1] not in set("=+-@\t\r")
    assert _plain(neutral(text)) == text


def test_a_row_is_one_line_whatever_is_in_it() -> None:
    rows = [["a,b", 'say "no"', "two\nlines\x1b[31m", None, "=1+1"], ["é", "", "x", "y", "z"]]
    lines = list(csv_lines(rows))
    assert len(lines) == 2
    assert list(csv.reader(io.StringIO("".join(lines)))) == [
        ["a,b", 'say "no"', "two lines [31m", "", "'=1+1"],
        ["é", "", "x", "y", "z"],
    ]
