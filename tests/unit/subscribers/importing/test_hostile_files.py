"""Files that nobody should write: any bytes, and exports that were damaged on their way."""

import csv
import io
import tracemalloc
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.errors import Refused
from mailer.subscribers.importing.rows import ImportRow, RejectedRow
from mailer.subscribers.importing.table import HEAD, Lines, as_text, split_rows
from tests.support.imported_rows import read, read_file
from tests.support.provider_exports import EXPORTS

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                b"email",
                b"a@example.com",
                b",",
                b";",
                b'"',
                b"\n",
                b"\r",
                b"\0",
                b"\xff",
                b"\\",
                b"sep=;",
                b" ",
                b"\t",
            ]
        ),
        max_size=60,
    ).map(b"".join)
)
def test_no_bytes_are_another_error_than_refused(folder: Path, data: bytes) -> None:
    try:
        rows = read(folder, data)
    except Refused:
        return
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))


CELLS = st.text(st.sampled_from("ab\",;\t|\n\r ='\\é\u2028\x0b\x85"), max_size=8)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(ENCODINGS),
)
def test_lines_are_right_whatever_stands_in_the_cells(
    folder: Path, notes: list[tuple[str, str]], delimiter: str, end: str, encoding: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["note", "email", "remark"])
    lines = []
    for number, (note, remark) in enumerate(notes):
        # "\r\n", "\n" and "\r" are one line end each, as in editors.
        lines.append(out.getvalue().replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1)
        writer.writerow([note, f"r{number}@example.com", remark])
    rows = read(folder, out.getvalue().encode(encoding))
    assert rows == [ImportRow(line, f"r{number}@example.com") for number, line in enumerate(lines)]


@pytest.mark.parametrize("name", EXPORTS)
@settings(max_examples=30)
@given(seed=st.integers(0, 10**9))
def test_damaged_exports_are_read_or_refused(folder: Path, name: str, seed: int) -> None:
    random, export = Random(seed), EXPORTS[name]
    data = bytearray(b"".join(export.data(30)))
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(len(data))
        action = random.randrange(4)
        if action == 0:
            data[place] = random.randrange(256)
        elif action == 1:
            del data[place : place + random.randrange(1, 40)]
        elif action == 2:
            data[place:place] = random.choice([b'"', b"\n", b"\0", b",", b"\r", b"\xff\xfe"])
        else:
            data[place:place] = data[place // 2 : place // 2 + 50]
    with suppress(Refused):
        for row in read_file(folder, bytes(data)).rows:
            assert row.line >= 1
            assert isinstance(row, ImportRow) or len(row.reason) < 300


class Repeated(io.RawIOBase):
    """A file without end, of the same row again and again."""

    def __init__(self, row: bytes) -> None:
        self.read_so_far = 0
        self._block = row * 5000

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._block[:size]
        self.read_so_far += len(block)
        return block


@pytest.mark.parametrize(
    "row",
    [
        b"a@example.com,Anna\n",
        b'a@example.com,"Anna\nB"\n',
        b"a@example.com,\n\n",
        b'a@example.com,"A\n',
    ],
)
def test_no_more_than_a_block_and_a_row_is_read_ahead(row: bytes) -> None:
    file = Repeated(row)
    lines = Lines(as_text(b"", cast(BinaryIO, file), "utf-8"))
    for _ in islice(split_rows(lines, ","), 100):
        assert file.read_so_far < 3 * HEAD


@pytest.mark.parametrize("row", [b"b\n", b'x","b\n'])
def test_a_quote_that_is_never_closed_ends_an_endless_file(row: bytes) -> None:
    lines = Lines(as_text(b'a@example.com,"A', cast(BinaryIO, Repeated(row)), "utf-8"))
    with pytest.raises(Refused, match="line 1: a quote"):
        list(split_rows(lines, ","))
    assert len(lines.row) < 200_000


def test_a_line_of_the_size_of_the_file_is_not_kept(folder: Path) -> None:
    data = b"email,name\n" + b"a@example.com,A," * 1_000_000 + b"\nb@example.com,B\n"
    rows = read_file(folder, data).rows
    tracemalloc.start()
    try:
        assert [type(row) for row in rows] == [RejectedRow, ImportRow]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < len(data) / 4
