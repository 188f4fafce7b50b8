"""Reads a CSV file: finds its encoding and delimiter, and splits it into rows of cells with their lines.

Pure. Never keeps more of the file than a block and the row that is being read, whatever the file holds.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import BinaryIO, Final

from mailer.errors import Refused
from mailer.subscribers.importing.rows import RejectedRow
from mailer.text.english import pluralise

HEAD: Final = 1 << 16
"""How many bytes at the beginning of the file decide how it is read."""

LONGEST_LINE: Final = 1 << 18
"""How many characters a line may have."""

LONGEST_ROW: Final = 1 << 20
"""How many characters a row of several lines may have: the next quote may be far away."""

DELIMITERS: Final = ",;\t|"

_UTF8: Final = "utf-8"
_NOT_CSV: Final = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook; unpack it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"%PDF", "a PDF document; export the readers as CSV"),
)
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
_NOT_WINDOWS_1252: Final = re.compile("[\udc80-\udcff]{4}")
"""Western languages have no four such letters in a row; a cut-off UTF-8 character has three bytes at most."""

_SEPARATOR_LINE: Final = re.compile(r'"?sep=(?P<delimiter>[^\s"]|\t)"?\s*', re.IGNORECASE)


def find_encoding(head: bytes, given: str | None) -> tuple[str, int]:
    """Return the encoding of a file that begins with `head`, and the length of its byte order mark.

    Args:
        given: what staff say that it is; a byte order mark knows better.

    Raises:
        Refused: this is no text, or the given encoding does not exist.
    """
    for signature, what in _NOT_CSV:
        if head.startswith(signature):
            raise Refused(f"this is {what}")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    if given is not None:
        return _known(given), 0
    # A zero byte further down is one bad row.
    if b"\0" in head.partition(b"\n")[0]:
        return _utf16_without_mark(head), 0
    return _UTF8, 0


def _known(encoding: str) -> str:
    """Return the name of a text encoding.

    Raises:
        Refused: no encoding has that name.
    """
    try:
        name = codecs.lookup(encoding).name
        # Refuses codecs such as base64, which decode no text.
        io.TextIOWrapper(io.BytesIO(), name).close()
    except (LookupError, ValueError) as error:
        raise Refused(
            f"{encoding!r} is no encoding; name one such as windows-1251 or utf-16"
        ) from error
    return name


def _utf16_without_mark(head: bytes) -> str:
    """Tell by where the zero bytes of "," "@" and letters are which byte comes first.

    Raises:
        Refused: they are not where UTF-16 has them.
    """
    zeros = [head[side::2].count(0) for side in (0, 1)]
    least = max(4, len(head) // 8)
    if zeros[1] > max(least, 8 * zeros[0]):
        return "utf-16-le"
    if zeros[0] > max(least, 8 * zeros[1]):
        return "utf-16-be"
    raise Refused("this is not text; save the file as CSV in UTF-8")


def as_text(head: bytes, rest: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Return what `head` and then `rest` say, with line ends as they are."""
    errors = "surrogateescape" if encoding == _UTF8 else "replace"
    stream = io.BufferedReader(_Joined(head, rest), HEAD)
    return io.TextIOWrapper(stream, encoding, errors, newline="")


class _Joined(io.RawIOBase):
    """A stream of bytes that were read already, and then of another stream, which cannot go back."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._head:
            part, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        else:
            part = self._rest.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


class Lines:
    """Yields the lines of a text, and keeps those of the row that is being read.

    `number` is that of the line yielded last. A line that is too long is yielded as an empty one, and its
    number put into `too_long`. `not_utf8` is the first line that is not, `other_encoding` the first that is
    not Windows-1252 either, and `ended` is set once a line was asked for after the last.
    """

    def __init__(self, text: io.TextIOBase) -> None:
        self.number = 0
        self.row: list[str] = []
        self.too_long: list[int] = []
        self.not_utf8: int | None = None
        self.other_encoding: int | None = None
        self.ended = False
        self._text = text

    def __iter__(self) -> Iterator[str]:
        row, size = self.row, 0
        for line in iter(partial(self._text.readline, LONGEST_LINE), ""):
            self.number += 1
            if len(line) == LONGEST_LINE and line[-1] not in "\r\n":
                self._skip_rest()
                line = "\n"
            elif not line.isascii():
                line = self._decoded(line)
            size = size + len(line) if row else len(line)
            if size > LONGEST_ROW:
                raise _UnclosedQuote
            row.append(line)
            yield line
        self.ended = True

    def _skip_rest(self) -> None:
        if self.row:
            raise _UnclosedQuote
        self.too_long.append(self.number)
        while (more := self._text.readline(LONGEST_LINE)) and more[-1] not in "\r\n":
            pass

    def _decoded(self, line: str) -> str:
        if not _UNDECODED.search(line):
            return line
        if self.not_utf8 is None:
            self.not_utf8 = self.number
        if self.other_encoding is None and _NOT_WINDOWS_1252.search(line):
            self.other_encoding = self.number
        return _UNDECODED.sub(_from_windows_1252, line)


class _UnclosedQuote(Exception):
    """A quote is so far from the next one that it must be a slip."""


def _from_windows_1252(character: re.Match[str]) -> str:
    return bytes([ord(character[0]) - 0xDC00]).decode("cp1252", "replace")


def named_delimiter(line: str) -> str | None:
    """Return the delimiter that the first line of a file names, as Excel writes it: `sep=;`."""
    match = _SEPARATOR_LINE.fullmatch(line[:20])
    return match["delimiter"] if match else None


def first_rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the cells of the first two rows of `lines` that hold something, if there are that many."""
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    found: list[list[str]] = []
    with suppress(csv.Error):
        for cells in rows:
            if any(cell.strip() for cell in cells):
                found.append(cells)
            if len(found) == 2:
                break
    return found


def split_rows(
    lines: Lines, delimiter: str, *, escape: str | None = None
) -> Iterator[tuple[int, list[str]] | RejectedRow]:
    """Yield the line that each row begins on, and its cells; empty lines too.

    Args:
        escape: what stands before a quote inside quotes, if quotes are not doubled.

    Raises:
        Refused: a quote is opened and not closed.
    """
    # Not strict: files have `"a@example.com" ,` and `5" screen`.
    reader = csv.reader(
        lines, delimiter=delimiter, skipinitialspace=True, escapechar=escape, strict=False
    )
    row, too_long = lines.row, lines.too_long
    while True:
        begin = lines.number + 1
        row.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _UnclosedQuote as error:
            raise Refused(_unclosed(begin)) from error
        except csv.Error as error:
            if len(row) > 1:
                raise Refused(_unclosed(begin)) from error
            yield RejectedRow(begin, f"a cell has more than {csv.field_size_limit()} characters")
            continue
        if too_long:
            yield RejectedRow(too_long.pop(), f"the line has {LONGEST_LINE} characters or more")
        elif len(row) == 1 and not lines.ended:
            yield begin, cells
        elif lines.ended:
            # The reader asked for one more line, because a quote was open.
            raise Refused(_unclosed(begin))
        elif _is_whole(row, delimiter, escape):
            yield begin, cells
        else:
            yield RejectedRow(
                begin,
                f"a quote in this row is not closed where its cell ends, so {pluralise(len(row), 'line')} "
                "cannot be told apart; close it, or write it twice",
            )


def _unclosed(line: int) -> str:
    return (
        f'line {line}: a quote (") is opened in the row that begins here and never closed; '
        "close it, or remove it"
    )


def _is_whole(row: Sequence[str], delimiter: str, escape: str | None) -> bool:
    """Tell whether each quote of the row is closed where its cell ends."""
    strict = csv.reader(
        row, delimiter=delimiter, skipinitialspace=True, escapechar=escape, strict=True
    )
    try:
        return len(list(strict)) == 1
    except csv.Error:
        return False
