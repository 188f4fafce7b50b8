"""Opens a file of readers and yields what its rows say, whichever service exported it.

Never reads the whole file at once, so its size does not matter.
"""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from mailer.errors import Refused
from mailer.subscribers.importing.columns import ColumnPlan, finds_email, plan_columns
from mailer.subscribers.importing.interpret import Interpreter
from mailer.subscribers.importing.opt_in_dates import DateOrder
from mailer.subscribers.importing.presets import RULES, Preset, least_of
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from mailer.subscribers.importing.status_words import ACTIVE, BLOCKED, TELLING, UNSUBSCRIBED
from mailer.subscribers.importing.table import (
    DELIMITERS,
    HEAD,
    Lines,
    as_text,
    find_encoding,
    first_rows,
    named_delimiter,
    split_rows,
)

_LEAST: Final = {
    ReaderStatus.ACTIVE: ACTIVE,
    ReaderStatus.UNSUBSCRIBED: UNSUBSCRIBED,
    ReaderStatus.SUPPRESSED: BLOCKED,
}


@dataclass(frozen=True)
class ReadOptions:
    """How staff want a file to be read.

    Attributes:
        now: dates after it are dropped.
        columns: which columns hold what, as `parse_columns` reads `--map`.
        dates: for dates that could be read both ways.
        encoding: the file's, if it is neither UTF-8, UTF-16 nor Windows-1252.
        status: what everybody in the file is at least, if it is a file of people who left.
        languages: those that a reader can have.
    """

    now: datetime
    columns: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder | None = None
    encoding: str | None = None
    status: ReaderStatus = ReaderStatus.ACTIVE
    languages: Collection[str] = ()


@dataclass
class ReaderFile:
    """A file that is being read: `rows` can be iterated once.

    `warnings` grows while the rows are read, and holds sentences for staff, at most one of each kind.
    """

    rows: Iterator[ImportRow | RejectedRow] = field(default_factory=lambda: iter(()))
    preset: Preset = Preset.GENERIC
    warnings: list[str] = field(default_factory=list)


def read_rows(path: Path, options: ReadOptions) -> ReaderFile:
    """Open the CSV file at `path`, which may be a pipe, and recognise its columns.

    Raises:
        Refused: the file cannot be read, or has no column of addresses. Iterating the rows may raise it too.
    """
    reader_file = ReaderFile()
    rows = _open(path, options, reader_file)
    # This reads the header. The file is closed after the last row, or when nobody holds the rows any more.
    next(rows)
    reader_file.rows = _without_empty(rows)
    return reader_file


def _without_empty(
    rows: Generator[ImportRow | RejectedRow | None, None, None],
) -> Iterator[ImportRow | RejectedRow]:
    """Leave out empty rows; to close this closes the file."""
    with closing(rows):
        yield from filter(None, rows)


def _open(
    path: Path, options: ReadOptions, reader_file: ReaderFile
) -> Generator[ImportRow | RejectedRow | None, None, None]:
    """Yield None once the header is read, then what each row says, None for an empty one.

    Raises:
        Refused: the file cannot be read to its end.
    """
    try:
        with path.open("rb") as file:
            yield from _read(file, path, options, reader_file)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}); name a CSV file that can be read"
        ) from error
    except UnicodeError as error:
        raise Refused(
            f"{path} cannot be read as {options.encoding}; name another encoding"
        ) from error
    except Refused as error:
        raise Refused(f"{path}: {error}") from error


def _read(
    file: BinaryIO, path: Path, options: ReadOptions, reader_file: ReaderFile
) -> Iterator[ImportRow | RejectedRow | None]:
    head = file.read(HEAD)
    encoding, mark = find_encoding(head, options.encoding)
    head = head[mark:]
    first_lines = Lines(as_text(head, BytesIO(), encoding))
    beginning = list(first_lines)
    if first_lines.other_encoding is not None and options.encoding is None:
        # Read as Windows-1252, "нет" would be no "no" any more.
        raise Refused(
            f"line {first_lines.other_encoding} is neither UTF-8 nor Windows-1252; name the encoding, "
            "as in --encoding windows-1251, or save the file as CSV in UTF-8"
        )
    named = named_delimiter(beginning[0]) if beginning else None
    if named is not None:
        del beginning[0]
    delimiter, cells = _find_header(beginning, named, options.columns)
    plan = plan_columns(cells, options.columns)
    reader_file.preset = plan.preset
    reader_file.warnings.extend(_first_warnings(plan))
    yield None

    lines = Lines(as_text(head, file, encoding))
    rows = split_rows(lines, delimiter, escape=RULES[plan.preset].escape)
    if named is not None:
        next(rows, None)
    if plan.has_header:
        _skip_header(rows)
    least = max(least_of(plan.preset, path.name), _LEAST[options.status], key=lambda one: one[0])
    interpret = Interpreter(plan, options.now, options.dates, least, frozenset(options.languages))
    for row in rows:
        yield row if isinstance(row, RejectedRow) else interpret(*row)
    reader_file.warnings.extend(interpret.warnings())
    if lines.not_utf8 is not None:
        reader_file.warnings.append(
            f"line {lines.not_utf8} is not UTF-8, so its letters were read as Windows-1252, like those of "
            "other such lines; if names look wrong, save the file as CSV in UTF-8"
        )


def _find_header(
    lines: Sequence[str], named: str | None, chosen: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Return the delimiter that fits best, and the cells of the first row.

    The first row has a column of addresses with it, or else as many cells as the second, or else most cells.
    """
    found = {delimiter: first_rows(lines, delimiter) for delimiter in named or DELIMITERS}

    def fitness(delimiter: str) -> tuple[bool, bool, int]:
        header, *others = found[delimiter] or [[]]
        fits = len(header) > 1 and any(len(cells) == len(header) for cells in others)
        return finds_email(header, chosen), fits, len(header)

    delimiter = max(found, key=fitness)
    return delimiter, (found[delimiter] or [[]])[0]


def _skip_header(rows: Iterator[tuple[int, list[str]] | RejectedRow]) -> None:
    """Take the header from `rows`, with empty lines before it.

    Raises:
        Refused: it cannot be split into cells.
    """
    for row in rows:
        if isinstance(row, RejectedRow):
            raise Refused(f"line {row.line}: {row.reason}")
        if any(map(str.strip, row[1])):
            return


def _first_warnings(plan: ColumnPlan) -> Iterator[str]:
    name = plan.names[plan.email]
    if plan.has_header and sum(one.casefold() == name.casefold() for one in plan.names) > 1:
        yield f"several columns are called {name!r}, of which the first is used"
    telling = {kind for _, kind in plan.statuses} & TELLING
    if RULES[plan.preset].says_who_left and not telling:
        yield (
            f"this looks like an export of {plan.preset}, but no column says who unsubscribed; export it "
            "again with that column, unless everybody in the file still subscribes"
        )
