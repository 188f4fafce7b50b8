"""Decides what is due to a reader, and what of it a digest holds, in plain Python.

Written from the words of docs/design.md and of the manual, never from the program's code: it knows no groups,
no cohorts, no SQL. Slow, and small enough to be seen to be right. The random lives and the week of two
newspapers both go by it.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(kw_only=True)
class Terms:
    """What the digests of a schedule hold; a one-off may be a letter, or hold what staff chose."""

    min_articles: int = 1
    max_articles: int = 20
    newcomers: int = 5
    max_age: timedelta = timedelta(days=30)
    is_once: bool = False
    is_letter: bool = False
    chosen: tuple[Hashable, ...] = ()

    @property
    def is_by_hand(self) -> bool:
        """A person decided what is in it: it is for everybody, and nobody's first digest."""
        return self.is_letter or bool(self.chosen)


def candidates(published: Mapping[Key, datetime], terms: Terms, slot: datetime) -> list[Key]:
    """What a digest may hold, the newest first: young enough and published by the slot, or chosen.

    Args:
        published: what the newsletter takes and staff neither withdrew nor dropped.
    """
    found = [
        key
        for key, at in published.items()
        if not terms.is_letter
        and (key in terms.chosen if terms.chosen else slot - terms.max_age < at <= slot)
    ]
    return sorted(found, key=lambda key: (published[key], key), reverse=True)


def due(
    newest_first: Sequence[Key],
    late: Collection[Key],
    early: Collection[Key],
    had: Collection[Key],
    newcomers: int,
) -> list[Key]:
    """What of the candidates is due to a reader, the newest first.

    Args:
        late: what came after the reader did.
        early: what came before, of which newcomers get so many of the newest.
        newcomers: how many; 0 for anybody else.
    """
    first = [key for key in newest_first if key in early][:newcomers]
    return [key for key in newest_first if (key in late or key in first) and key not in had]


def contents(
    due: Sequence[Key],
    late: Collection[Key],
    before: Collection[Key],
    lead: Key | None,
    terms: Terms,
) -> tuple[Key, ...] | None:
    """What the reader gets of what is due: the lead first, then the newest; None where they wait.

    Args:
        before: the candidates of the schedule's last digest; where there are too many, these go first.
    """
    if terms.is_letter:
        return ()
    if not due or len(due) < terms.min_articles:
        return None
    leads = [key for key in due if key == lead]
    carried_over = [key for key in due if key in before and key in late]
    kept = list(dict.fromkeys([*leads, *carried_over, *due]))[: terms.max_articles]
    return (*leads, *(key for key in due if key in kept and key not in leads))
