"""What should be in every digest, reader by reader and article by article, in plain Python.

Written from the words of docs/design.md and of the manual, never from the program's code: it knows no groups,
no cohorts, no SQL. Slow, and small enough to be seen to be right.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailer.models import DeliveryStatus

S = DeliveryStatus
COUNTS_AS_HAD = {S.QUEUED, S.CLAIMED, S.SENDING, S.DEFERRED, S.SENT, S.UNKNOWN}
"""Failed, skipped and cancelled give an article back."""


@dataclass
class Terms:
    """A schedule, as far as it matters to readers."""

    id: int
    newsletter: int
    max_age: timedelta
    min_articles: int
    max_articles: int
    newcomers: int


@dataclass
class Piece:
    """An article, and for each newsletter that has it whether it is backlog there."""

    id: int
    published: datetime
    backlog: dict[int, bool]
    withdrawn: bool = False


@dataclass
class Mail:
    """A delivery. `resent` once it was in doubt and queued again."""

    id: int
    digest: int
    newsletter: int
    articles: tuple[int, ...]
    status: DeliveryStatus = S.QUEUED
    resent: bool = False


@dataclass
class Person:
    """An address; `refused` once the relay has refused it for good."""

    id: int
    refused: bool = False
    mails: list[Mail] = field(default_factory=list)

    @property
    def had(self) -> set[int]:
        """Whatever a live delivery carries, through any newsletter or schedule."""
        live = (mail for mail in self.mails if mail.status in COUNTS_AS_HAD)
        return {article for mail in live for article in mail.articles}


@dataclass
class Reader:
    """A person's place in a newsletter. `first` is their first digest."""

    id: int
    person: Person
    newsletter: int
    schedule: int
    start: int
    first: int | None = None
    left: bool = False
    paused: bool = False

    @property
    def may_be_mailed(self) -> bool:
        return not (self.left or self.paused or self.person.refused)

    @property
    def is_newcomer(self) -> bool:
        """Their first digest is still to come, or was given back."""
        return self.first is None or any(
            mail.digest == self.first and mail.status not in COUNTS_AS_HAD
            for mail in self.person.mails
        )


@dataclass
class Model:
    """What should have happened so far."""

    pieces: dict[int, Piece] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    candidates_before: dict[int, set[int]] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        return max(self.pieces, default=0)

    def candidates(self, terms: Terms, slot: datetime) -> list[Piece]:
        """Published up to the slot, younger than max_age, and not withdrawn; by now arrived."""
        return [
            piece
            for piece in self.pieces.values()
            if terms.newsletter in piece.backlog
            and not piece.withdrawn
            and slot - terms.max_age < piece.published <= slot
        ]

    def due(self, reader: Reader, terms: Terms, candidates: Iterable[Piece]) -> set[int]:
        candidates = list(candidates)
        due = {
            piece.id
            for piece in candidates
            if piece.id > reader.start and not piece.backlog[terms.newsletter]
        }
        if reader.is_newcomer:
            before = sorted(
                (piece for piece in candidates if piece.id <= reader.start), key=_age, reverse=True
            )
            due |= {piece.id for piece in before[: terms.newcomers]}
        return due - reader.person.had

    def contents(self, reader: Reader, terms: Terms, due: set[int]) -> tuple[int, ...]:
        """What the reader gets of what is due, newest first; nothing where they wait."""
        if len(due) < terms.min_articles:
            return ()
        before = self.candidates_before.get(terms.id, set())
        pieces = sorted((self.pieces[one] for one in due), key=_age, reverse=True)
        carried_over = [one for one in pieces if one.id in before and one.id > reader.start]
        others = [one for one in pieces if one not in carried_over]
        kept = (carried_over + others)[: terms.max_articles]
        return tuple(one.id for one in sorted(kept, key=_age, reverse=True))

    def on(self, terms: Terms) -> list[Reader]:
        """The readers of a schedule who may be mailed."""
        return [one for one in self.readers if one.schedule == terms.id and one.may_be_mailed]

    def excluded(self, terms: Terms, slot: datetime) -> Counter[str]:
        """Why readers of the newsletter get nothing."""
        found: Counter[str] = Counter()
        candidates = self.candidates(terms, slot)
        for reader in self.readers:
            if reader.newsletter != terms.newsletter or reader.left:
                continue
            if reader.schedule != terms.id:
                found["other_schedule"] += 1
            elif reader.person.refused:
                found["suppressed"] += 1
            elif reader.paused:
                found["paused"] += 1
            elif not (due := self.due(reader, terms, candidates)):
                found["nothing_new"] += 1
            elif len(due) < terms.min_articles:
                found["too_few"] += 1
        return found


def _age(piece: Piece) -> tuple[datetime, int]:
    return piece.published, piece.id
