"""Reading readers out of CSV files."""

from pathlib import Path

import pytest

from mailer.errors import Refused
from mailer.subscribers.csv_table import CsvRow, parse_columns, read_table


def lines(tmp_path: Path, data: bytes, **columns: str) -> list[CsvRow]:
    path = tmp_path / "readers.csv"
    path.write_bytes(data)
    return list(read_table(path, columns))


@pytest.mark.parametrize(
    "data",
    [
        b"email,name\na@example.com,Anna\nb@example.com,\n",
        b"\xef\xbb\xbfEmail;Name\r\na@example.com;Anna\r\nb@example.com\r\n",
        b"NAME\tE-MAIL\temail\nAnna\tx\ta@example.com\n\t\tb@example.com",
        b'email,name\n"a@example.com" ," Anna "\n  b@example.com  ,\n',
    ],
)
def test_delimiters_quotes_and_a_byte_order_mark(tmp_path: Path, data: bytes) -> None:
    assert lines(tmp_path, data) == [
        CsvRow(2, "a@example.com", "Anna"),
        CsvRow(3, "b@example.com", None),
    ]


def test_columns_may_be_called_otherwise_and_empty_rows_do_not_count(tmp_path: Path) -> None:
    data = b"Adresse;Wer\n;\n\na@example.com;Anna\n"

    assert lines(tmp_path, data, email="adresse", name="Wer") == [
        CsvRow(4, "a@example.com", "Anna")
    ]


def test_a_quoted_cell_may_hold_several_lines(tmp_path: Path) -> None:
    data = b'email,name\na@example.com,"Anna\nB."\nb@example.com,x\n'

    assert lines(tmp_path, data)[1] == CsvRow(4, "b@example.com", "x")


@pytest.mark.parametrize(
    ("data", "columns", "told"),
    [
        (b"address\nx", {}, "no column 'email', it has address; say which one it is with --map"),
        (b"", {}, "it has nothing"),
        (b"email\nx\n", {"name": "Who"}, "no column 'Who'"),
        ("email,name\na@example.com,Ännchen\n".encode("latin-1"), {}, "line 2: this is not UTF-8"),
        ("email\na@example.com\n".encode("utf-16"), {}, "line 1: this is not UTF-8"),
        (b"email\na@example.com\0\n", {}, "line 2: this is not text"),
        (b"email\n" + b"x" * 200_000, {}, "line 2: field larger than field limit"),
        (b"email,name\ra@example.com,A\r", {}, "line 1: .*save the file as CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, data: bytes, columns: dict[str, str], told: str
) -> None:
    with pytest.raises(Refused, match=told):
        lines(tmp_path, data, **columns)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        list(read_table(tmp_path, {}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("", {}),
        ("email=E-Mail", {"email": "E-Mail"}),
        (" email = A , name=B ", {"email": "A", "name": "B"}),
    ],
)
def test_columns_are_named_in_pairs(text: str | None, expected: dict[str, str]) -> None:
    assert parse_columns(text) == expected


@pytest.mark.parametrize("text", ["email", "email=", "phone=X", "=x"])
def test_other_pairs_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="--map must be like"):
        parse_columns(text)
