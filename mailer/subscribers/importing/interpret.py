"""Says what the cells of one row mean: address, name, status, and when and where the reader signed up.

Pure. Never takes a status, a date or an IP address that it is not sure of.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Final

from mailer.subscribers.importing.columns import ColumnPlan
from mailer.subscribers.importing.opt_in_dates import DateOrder, DateProblem, read_date
from mailer.subscribers.importing.presets import RULES
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from mailer.subscribers.importing.status_words import (
    PAUSED,
    UNSUBSCRIBED,
    StatusColumn,
    StatusVerdict,
    any_says_left,
    judge,
    says_when,
)
from mailer.text.english import pluralise
from mailer.text.reader_name import reader_name
from mailer.text.untrusted import printable_line

LONGEST_ADDRESS: Final = 320
LONGEST_SOURCE: Final = 200
_LONGEST_STATUS: Final = 200
_MOST_NAMED: Final = 5
_MOST_REMEMBERED: Final = 500
"""How many different cells of one status column are remembered; real files have a handful."""

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
_LONGEST_IP: Final = 45
_AROUND: Final = " \t\r\n\xa0,;"
"""What people leave around an address that they copied out of a list."""

_CLOSING: Final = frozenset(">'")
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060\u00ad"

_ADVICE: Final = {
    DateProblem.AMBIGUOUS: "could be day first or month first; say which with --dates dmy or --dates mdy",
    DateProblem.UNREADABLE: "could not be read",
    DateProblem.IMPOSSIBLE: "cannot be: in the future, or before 1990",
}


@dataclass
class DroppedCells:
    """How many cells of a kind were dropped from rows that were taken, and the first line with one."""

    count: int = 0
    line: int = 0

    def add(self, line: int) -> None:
        """Count one more."""
        self.line = self.line or line
        self.count += 1


@dataclass
class Interpreter:
    """Reads rows by the plan of a file's columns; call it with the line and the cells of each.

    `order` is for dates that could be day first or month first, unless the service says itself. `least` is
    what everybody is at least.
    """

    plan: ColumnPlan
    now: datetime
    order: DateOrder | None
    least: StatusVerdict
    languages: frozenset[str] = frozenset()
    dates: dict[DateProblem, DroppedCells] = field(default_factory=dict)
    ips: DroppedCells = field(default_factory=DroppedCells)
    newsletters: set[str] = field(default_factory=set)
    _verdicts: tuple[tuple[int, Callable[[str], StatusVerdict]], ...] = ()

    def __post_init__(self) -> None:
        rules = RULES[self.plan.preset]
        self.order = self.order or rules.dates
        self._verdicts = tuple(
            (index, _remembering(kind, self.plan.names[index], inactive_left=rules.inactive_left))
            for index, kind in self.plan.statuses
        )

    def __call__(self, line: int, cells: list[str]) -> ImportRow | RejectedRow | None:
        """Say what a row means; None if it is empty."""
        plan = self.plan
        missing = plan.width - len(cells)
        if missing:
            if missing < 0 and any(map(str.strip, cells[plan.width :])):
                return RejectedRow(
                    line,
                    f"the row has {pluralise(len(cells), 'cell')}, and the file {plan.width} columns; "
                    "quote the cell that holds the delimiter",
                )
            cells += [""] * missing
        email = cells[plan.email].strip(_AROUND)
        if not email.isascii() or email[-1:] in _CLOSING or ":" in email:
            email = _bare(email)
        if not email:
            return RejectedRow(line, "there is no address") if any(map(str.strip, cells)) else None
        if len(email) > LONGEST_ADDRESS:
            return RejectedRow(line, f"the address has more than {LONGEST_ADDRESS} characters")
        if plan.newsletter is not None and len(self.newsletters) < _MOST_NAMED:
            self.newsletters.add(cells[plan.newsletter])
        verdict = self._verdict(cells)
        paused_at = None if plan.paused is None else self._time(line, cells, (plan.paused,))
        if verdict.rejected and not (verdict is PAUSED and paused_at):
            return RejectedRow(line, verdict.rejected)
        left = verdict.status is not ReaderStatus.ACTIVE
        return ImportRow(
            line,
            _plain(email),
            self._name(cells),
            verdict.status,
            verdict.reason,
            self._time(line, cells, plan.dates) or self._time(0, cells, plan.perhaps_dates),
            self._ip(line, cells),
            self._time(line, cells, plan.left) if left else None,
            None if plan.source is None else _source(cells[plan.source]),
            None if plan.language is None else self._language(cells[plan.language]),
            paused_at,
        )

    def warnings(self) -> list[str]:
        """Return a sentence for each kind of cell that was dropped."""
        lines = [
            f"{pluralise(cells.count, 'date')} {_ADVICE[problem]} (the first on line {cells.line}); "
            "the readers were taken without dates"
            for problem, cells in self.dates.items()
        ]
        if self.ips.count:
            lines.append(
                f"{pluralise(self.ips.count, 'IP address is', 'IP addresses are')} not valid "
                f"(the first on line {self.ips.line}) and left out"
            )
        if len(self.newsletters) > 1:
            names = printable_line(
                ", ".join(sorted(self.newsletters))[:LONGEST_SOURCE], LONGEST_SOURCE
            )
            lines.append(
                f"the file has readers of several newsletters ({names}), and all are taken for the one that "
                "you named; write a file for each with `mailer subscriber export --newsletter SLUG`"
            )
        return lines

    def _verdict(self, cells: Sequence[str]) -> StatusVerdict:
        verdict = self.least
        for index, judged in self._verdicts:
            found = judged(cells[index])
            if found[0] > verdict[0]:
                verdict = found
        if not self.plan.says_who_left:
            verdict = max(verdict, any_says_left(cells), key=itemgetter(0))
        if verdict[0] < UNSUBSCRIBED[0] and any(
            says_when(cells[index]) for index in self.plan.left
        ):
            return UNSUBSCRIBED
        return verdict

    def _name(self, cells: Sequence[str]) -> str | None:
        plan = self.plan
        if plan.name is not None:
            name = cells[plan.name].strip()
            if name:
                return reader_name(_plain(self._with_last(name, cells)))
        parts = [
            _plain(cells[index].strip()) for index in (plan.first, plan.last) if index is not None
        ]
        return reader_name(" ".join(filter(None, parts)))

    def _with_last(self, name: str, cells: Sequence[str]) -> str:
        """Add the last name where the column of names has only the first, as at MailerLite."""
        if self.plan.last is None or self.plan.first is not None:
            return name
        last = cells[self.plan.last].strip()
        return name if last.casefold() in name.casefold() else f"{name} {last}"

    def _time(self, line: int, cells: Sequence[str], columns: Sequence[int]) -> datetime | None:
        """Return the first time in these columns; without a line, what is none is not counted."""
        problem = None
        for index in columns:
            cell = cells[index].strip()
            if cell:
                found = read_date(cell, self.order, self.now)
                if isinstance(found, datetime):
                    return found
                problem = problem or found
        if problem is not None and line:
            self.dates.setdefault(problem, DroppedCells()).add(line)
        return None

    def _language(self, cell: str) -> str | None:
        language = cell[:20].replace("_", "-").partition("-")[0].strip().lower()
        return language if language in self.languages else None

    def _ip(self, line: int, cells: Sequence[str]) -> str | None:
        wrong = False
        for index in self.plan.ips:
            cell = cells[index].strip()
            if cell:
                if _IPV4.fullmatch(cell):
                    return cell
                address = _ipv6(cell)
                if address:
                    return address
                wrong = True
        if wrong:
            self.ips.add(line)
        return None


def _remembering(
    kind: StatusColumn, column: str, *, inactive_left: bool
) -> Callable[[str], StatusVerdict]:
    """Return `judge` for one column, which judges each different cell only once."""
    known: dict[str, StatusVerdict] = {}

    def judged(cell: str) -> StatusVerdict:
        verdict = known.get(cell)
        if verdict is None:
            verdict = judge(kind, cell, inactive_left=inactive_left, column=column)
            if len(known) < _MOST_REMEMBERED and len(cell) < _LONGEST_STATUS:
                known[cell] = verdict
        return verdict

    return judged


def _bare(email: str) -> str:
    """Take the address out of `Anna <a@example.com>`, `'a@example.com'` and `mailto:a@example.com`."""
    email = email[: 4 * LONGEST_ADDRESS].strip(_INVISIBLE).strip()
    if email.endswith(">"):
        email = email[:-1].rpartition("<")[2].strip()
    if email[:1] == email[-1:] == "'":
        email = email[1:-1].strip()
    return email[7:].partition("?")[0] if email[:7].lower() == "mailto:" else email


def _plain(cell: str) -> str:
    """Undo what exports put before a cell that a spreadsheet would take for a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


_FORMULA: Final = frozenset("=+-@'\t\r")


def _source(cell: str) -> str | None:
    return printable_line(_plain(cell[: 4 * LONGEST_SOURCE].strip()), LONGEST_SOURCE) or None


def _ipv6(cell: str) -> str | None:
    if len(cell) > _LONGEST_IP or "%" in cell:
        return None
    try:
        return str(ipaddress.IPv6Address(cell))
    except ValueError:
        return None
