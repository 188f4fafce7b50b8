"""Splitting files into rows: encodings, delimiters, quotes, line ends, and what is too long."""

import io
from pathlib import Path

import pytest

from mailer.errors import Refused
from mailer.subscribers.importing.rows import ImportRow, RejectedRow
from mailer.subscribers.importing.table import LONGEST_LINE, Lines, split_rows
from tests.support.imported_rows import read, read_file

ANNA, BORIS = ImportRow(2, "a@example.com", "Anna"), ImportRow(3, "b@example.com")


@pytest.mark.parametrize(
    "data",
    [
        b"email,name\na@example.com,Anna\nb@example.com,\n",
        b"\xef\xbb\xbfEmail;Name\r\na@example.com;Anna\r\nb@example.com\r\n",
        b"NAME\tE-MAIL\temail\nAnna\tx\ta@example.com\n\t\tb@example.com",
        b"name|email\nAnna|a@example.com\n|b@example.com\n",
        b'email,name\n"a@example.com" ," Anna "\n  b@example.com  ,\n',
        b"E-mail if any;Name;Where, when\na@example.com;Anna;x\nb@example.com;;\n",
        b'email, name\na@example.com, "Anna"\nb@example.com, ""\n',
        b"email,name\ra@example.com,Anna\rb@example.com,\r",
        b'"Full, email";email;name\n;a@example.com;Anna\n;b@example.com;\n',
        b"email,name\na@example.com,Anna\nb@example.com,,,\n",
    ],
)
def test_delimiters_quotes_and_line_ends(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) == [ANNA, BORIS]


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_of_excel_names_the_delimiter(tmp_path: Path, line: str) -> None:
    text = f"{line}\r\nemail;name,first\r\na@example.com;Anna\r\n"
    assert read(tmp_path, text.encode()) == [ImportRow(3, "a@example.com")]
    assert read(tmp_path, b"sep=#\nemail#name\na@example.com#Anna\n")[0].line == 3


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_are_found(tmp_path: Path, encoding: str, end: str) -> None:
    text = "E-Mail;Name\na@example.com;Ännchen\nb@example.com;Élodie\n".replace("\n", end)
    rows = read_file(tmp_path, text.encode(encoding))
    assert [row.name for row in rows.rows if isinstance(row, ImportRow)] == ["Ännchen", "Élodie"]
    assert [("line 2 is not UTF-8" in one) for one in rows.warnings] == [True] * (
        encoding == "cp1252"
    )


def test_the_encoding_can_be_named(tmp_path: Path) -> None:
    data = "эл. почта;имя\na@example.com;Ольга\n".encode("cp1251")
    assert read(tmp_path, data, encoding="windows-1251")[0].name == "Ольга"
    for wrong in ("klingon", "base64", "rot13"):
        with pytest.raises(Refused, match="is no encoding"):
            read(tmp_path, data, encoding=wrong)
    with pytest.raises(Refused, match="cannot be read as idna"):
        read(tmp_path, b"email\n" + b"\xff@example.com\n" * 9, encoding="idna")


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp1253"])
def test_letters_of_another_encoding_are_not_taken_for_windows_1252(
    tmp_path: Path, encoding: str
) -> None:
    word = "Διαγραμμένος" if encoding == "cp1253" else "Отписан"
    data = f"Email;{word}\na@example.com;x\n".encode(encoding)
    with pytest.raises(Refused, match=r"line 1 is neither UTF-8 nor .*--encoding windows-1251"):
        read(tmp_path, data)
    assert len(read(tmp_path, data, encoding=encoding)) == 1


def test_a_letter_that_was_cut_off_does_not_make_another_encoding(tmp_path: Path) -> None:
    cut = "Ольга 😀".encode()[:-1]
    (row,) = read(tmp_path, b"email;name\na@example.com;" + cut + b"\n")
    assert isinstance(row, ImportRow)


def test_one_bad_byte_does_not_spoil_the_letters_beside_it(tmp_path: Path) -> None:
    rows = read(tmp_path, b"email,name\na@example.com,\xc3\x84nn\xe9\nb@example.com,\xc3\x84nn\n")
    assert [row.name for row in rows if isinstance(row, ImportRow)] == ["Änné", "Änn"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04...", "a ZIP archive or an Excel workbook; unpack it"),
        (b"\x1f\x8b...", "a gzip archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b"email\0\n", "this is not text; save the file as CSV in UTF-8"),
        (b"", "it has nothing"),
        (b"\n\n", "it has nothing"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_do(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        read(tmp_path, data)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_file(tmp_path, None)


def test_rows_have_the_line_on_which_they_begin(tmp_path: Path) -> None:
    data = b'\nemail,name\n\n , \na@example.com,"Anna\nB."\r\n\r\n"b@example.com","x"\nc,d,e\n'
    assert [row.line for row in read(tmp_path, data)] == [5, 8, 9]


def test_a_row_with_more_cells_than_columns_is_rejected_alone(tmp_path: Path) -> None:
    rows = read(tmp_path, b"email,name\na@example.com,Smith, Anna\nb@example.com\n")
    assert rows == [RejectedRow(2, rows[0][1]), BORIS]
    assert "3 cells, and the file 2 columns" in str(rows[0][1])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"x" * 140_000, "a cell has more than 131072 characters"),
        (b"x," * LONGEST_LINE, "the line has 262144 characters or more"),
    ],
)
def test_what_is_too_long_is_rejected_with_its_line(tmp_path: Path, line: bytes, told: str) -> None:
    rows = read(tmp_path, b"email,name\n" + line + b"\nb@example.com,\n")
    assert rows == [RejectedRow(2, told), BORIS]


def test_an_address_may_hold_a_zero_byte_without_harm_to_other_rows(tmp_path: Path) -> None:
    rows = read(tmp_path, b"email\na\0@example.com\nb@example.com\n")
    assert [row.line for row in rows] == [2, 3]


@pytest.mark.parametrize(
    "rest",
    [b"", b"\nb@example.com,B", b"\nb@example.com,B" * 100_000, b"\n" * 1_100_000],
)
def test_a_quote_that_is_never_closed_is_one_error_with_its_line(
    tmp_path: Path, rest: bytes
) -> None:
    rows = read_file(tmp_path, b'email,name\nc@example.com,C\na@example.com,"Anna' + rest).rows
    assert next(rows) == ImportRow(2, "c@example.com", "C")
    with pytest.raises(Refused, match=r"line 3: a quote .* never closed"):
        list(rows)


def test_lines_that_a_stray_quote_swallows_are_not_taken_for_anything(tmp_path: Path) -> None:
    data = b'email,name\na@example.com,"Anna\nb@example.com,"Boris" x\nc@example.com,C\n'
    rejected, taken = read(tmp_path, data)
    assert rejected.line == 2
    assert "2 lines cannot be told apart" in str(rejected[1])
    assert taken == ImportRow(4, "c@example.com", "C")


def test_quotes_inside_cells_of_one_line_do_no_harm(tmp_path: Path) -> None:
    data = b'email,size,name\na@example.com,5" screen,Anna\nb@example.com,"a "b" c",\n'
    assert read(tmp_path, data) == [ANNA, BORIS]


def test_only_a_block_and_a_row_are_in_memory() -> None:
    class Endless(io.TextIOBase):
        def __init__(self) -> None:
            self.asked = 0

        def readline(self, size: int | None = -1, /) -> str:
            self.asked += 1
            return "a,b\n"

    text = Endless()
    lines = Lines(text)
    rows = split_rows(lines, ",")
    for number in range(1, 1000):
        assert next(rows) == (number, ["a", "b"])
        assert text.asked == number
        assert len(lines.row) == 1
