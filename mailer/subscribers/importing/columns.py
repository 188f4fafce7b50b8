"""Decides which column of a file holds what: by the names of columns in several languages, or by `--map`.

Pure. Never guesses between two columns that could both hold the address.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailer.errors import Refused
from mailer.subscribers.importing import column_names
from mailer.subscribers.importing.folding import fold
from mailer.subscribers.importing.presets import RULES, Preset, recognise
from mailer.subscribers.importing.status_columns import kind_of_column
from mailer.subscribers.importing.status_words import TELLING, StatusColumn
from mailer.text.untrusted import printable_line

LONGEST_SHOWN: Final = 300
"""How many characters of the names of columns an error shows."""


class ColumnKey(StrEnum):
    """What `--map` can name a column for."""

    EMAIL = "email"
    NAME = "name"
    FIRST = "first"
    LAST = "last"
    STATUS = "status"
    OPTED_IN = "opted_in"
    IP = "ip"
    LEFT = "left"
    SOURCE = "source"


NO_COLUMN: Final = "-"
"""What `--map` names for "none", when a column is not what its name says."""

_WITH_DATES: Final = {StatusColumn.WORD_OR_DATE, StatusColumn.CONFIRMED}


@dataclass(frozen=True)
class ColumnPlan:
    """Where what stands, as numbers of columns from 0.

    `dates` and `ips` are in the order in which the first that holds something is taken. `perhaps_dates` hold
    a time or something else. `left` are times that only readers who left have. `statuses` all count; unless
    `says_who_left`, so do words in other cells that can mean nothing else. `newsletter` is only in the
    mailer's own export.
    """

    preset: Preset
    width: int
    has_header: bool
    names: tuple[str, ...]
    email: int
    name: int | None
    first: int | None
    last: int | None
    statuses: tuple[tuple[int, StatusColumn], ...]
    dates: tuple[int, ...]
    ips: tuple[int, ...]
    perhaps_dates: tuple[int, ...]
    left: tuple[int, ...]
    source: int | None
    language: int | None
    paused: int | None
    newsletter: int | None
    says_who_left: bool


def parse_columns(text: str | None) -> dict[str, str]:
    """Read `email=Column,name=Column` into a mapping; a name may hold commas.

    Raises:
        Refused: it is written differently, or names something that is not taken over.
    """
    columns: dict[str, str] = {}
    for item in re.split(r",(?=[^,=]*=)", (text or "")[:10_000]):
        if not item.strip(" ,"):
            continue
        key, _, name = (part.strip() for part in item.partition("="))
        name = name.rstrip(" ,")
        if key not in set(ColumnKey) or not name:
            raise Refused(
                f"--map must be like email=Column,name=Column, not {text!r}; "
                f"it can name {', '.join(ColumnKey)}"
            )
        if key in columns:
            raise Refused(f"--map names {key} twice; leave one out")
        columns[key] = name
    return columns


def plan_columns(cells: Sequence[str], chosen: Mapping[str, str]) -> ColumnPlan:
    """Decide by the first row of a file, and by what staff chose, what its columns hold.

    Raises:
        Refused: there is no column of addresses, or none of a chosen name.
    """
    names = tuple(cell.strip() for cell in cells)
    folded = [fold(name) for name in names]
    has_header = not any(map(_is_address, names))
    if not has_header and not chosen and any(names[1:]):
        raise Refused(
            "there is no header row: the first line holds an address; say by their numbers which columns "
            "hold what, as in --map email=1,name=2"
        )
    known = _Finder(names, folded if has_header else [], chosen)
    preset = recognise(frozenset(folded)) if has_header else Preset.GENERIC
    email = known.email() if has_header or chosen else 0
    name, first, last = known.names()
    statuses = known.statuses(preset)
    return ColumnPlan(
        preset=preset,
        width=len(names),
        has_header=has_header,
        names=names,
        email=email,
        name=name,
        first=first,
        last=last,
        statuses=statuses,
        dates=known.several(ColumnKey.OPTED_IN, column_names.OPTED_IN),
        ips=known.several(ColumnKey.IP, column_names.IP),
        left=known.left(),
        perhaps_dates=tuple(index for index, kind in statuses if kind in _WITH_DATES),
        source=known.one(ColumnKey.SOURCE, column_names.SOURCE),
        language=known.first_of(column_names.LANGUAGE),
        paused=known.first_of(column_names.PAUSED),
        newsletter=known.first_of(("newsletter",)) if set(folded) >= column_names.OWN else None,
        says_who_left=ColumnKey.STATUS in chosen or any(kind in TELLING for _, kind in statuses),
    )


def finds_email(cells: Sequence[str], chosen: Mapping[str, str]) -> bool:
    """Tell whether one of these cells, which may be the names of columns, is that of the addresses."""
    wanted = fold(chosen.get(ColumnKey.EMAIL, ""))
    folded = [fold(cell) for cell in cells]
    if wanted:
        return wanted in folded
    return any(name in column_names.EMAIL_NAMES for name in folded) or any(
        _is_address(cell.strip()) for cell in cells
    )


def _is_address(cell: str) -> bool:
    local, at, domain = cell.partition("@")
    return bool(at and local and "." in domain and len(cell) < 321 and not re.search(r"\s", cell))


class _Finder:
    """Looks columns up by the names that they may have, of which the earliest wins."""

    def __init__(
        self, names: Sequence[str], folded: Sequence[str], chosen: Mapping[str, str]
    ) -> None:
        self._names = names
        self._folded = folded
        self._chosen = chosen

    def email(self) -> int:
        chosen = self._chosen_index(ColumnKey.EMAIL)
        if chosen is not None:
            return chosen
        for name in column_names.EMAIL:
            if name in self._folded:
                return self._folded.index(name)
        likely = [
            index
            for index, name in enumerate(self._folded)
            if column_names.LIKELY_EMAIL.search(name) and not column_names.NO_EMAIL.search(name)
        ]
        if len(likely) == 1:
            return likely[0]
        raise self._missing(ColumnKey.EMAIL, "email")

    def one(self, key: ColumnKey, known: Sequence[str]) -> int | None:
        return next(iter(self.several(key, known)), None)

    def several(self, key: ColumnKey, known: Sequence[str]) -> tuple[int, ...]:
        """Return all columns with one of the `known` names, in the order of the names.

        Raises:
            Refused: there is no column of the name that staff chose.
        """
        if key in self._chosen:
            chosen = self._chosen_index(key)
            return () if chosen is None else (chosen,)
        return self._called(known)

    def first_of(self, known: Sequence[str]) -> int | None:
        """Return the first column with one of the `known` names, which staff cannot choose."""
        return next(iter(self._called(known)), None)

    def _called(self, known: Sequence[str]) -> tuple[int, ...]:
        return tuple(
            index for name in known for index, folded in enumerate(self._folded) if folded == name
        )

    def names(self) -> tuple[int | None, int | None, int | None]:
        """Return the columns of the full, the first and the last name."""
        name = self.one(ColumnKey.NAME, column_names.NAME)
        first = self.one(ColumnKey.FIRST, column_names.FIRST)
        last = self.one(ColumnKey.LAST, column_names.LAST)
        if self._is_called(last, column_names.NAME_OR_LAST) and first is None and name is None:
            return last, None, None
        # "Vorname;Name": in these languages the one beside the first name is the last name.
        beside = self._is_called(first, column_names.FIRST_BESIDE_NAME)
        if beside and last is None and self._is_called(name, ("name",)):
            return None, first, name
        return name, first, last

    def _is_called(self, index: int | None, names: Container[str]) -> bool:
        return index is not None and bool(self._folded) and self._folded[index] in names

    def statuses(self, preset: Preset) -> tuple[tuple[int, StatusColumn], ...]:
        """Return the columns that say whether a reader gets mail, and how they say it."""
        if ColumnKey.STATUS in self._chosen:
            return tuple((index, StatusColumn.WORD) for index in self.several(ColumnKey.STATUS, ()))
        found = []
        for index, name in enumerate(self._folded):
            kind = kind_of_column(name, self._folded)
            if name in RULES[preset].optional and kind is not None:
                kind = StatusColumn.OPTIONAL
            if kind is not None:
                found.append((index, kind))
        return tuple(found)

    def left(self) -> tuple[int, ...]:
        """Return the columns of times that only readers who left have."""
        known = self.several(ColumnKey.LEFT, column_names.LEFT)
        if ColumnKey.LEFT in self._chosen:
            return known
        likely = (
            index
            for index, name in enumerate(self._folded)
            if index not in known and column_names.is_likely_left(name)
        )
        return (*known, *likely)

    def _chosen_index(self, key: ColumnKey) -> int | None:
        """Return the column that staff chose, by its name or its number.

        Raises:
            Refused: there is none.
        """
        wanted = self._chosen.get(key)
        if wanted is None or (wanted == NO_COLUMN and key is not ColumnKey.EMAIL):
            return None
        exact = [name.casefold() for name in self._names]
        if self._folded and wanted.casefold() in exact:
            return exact.index(wanted.casefold())
        if fold(wanted) in self._folded:
            return self._folded.index(fold(wanted))
        if wanted.isascii() and wanted.isdecimal() and 0 < int(wanted[:6]) <= len(self._names):
            return int(wanted[:6]) - 1
        raise self._missing(key, wanted)

    def _missing(self, key: ColumnKey, wanted: str) -> Refused:
        held = printable_line(", ".join(self._names)[: 2 * LONGEST_SHOWN], LONGEST_SHOWN)
        if not self._folded and any(self._names):
            held = f"{len(self._names)} without names"
        return Refused(
            f"there is no column {wanted!r}, it has {held or 'nothing'}; "
            f"say which one it is with --map {key}=COLUMN"
        )
