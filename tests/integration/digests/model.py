"""What should be in every digest of a random life, reader by reader and article by article.

Who has had what, and who may be mailed, is kept here; what is due then `tests.support.due_rules` says.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailer.models import DeliveryStatus
from tests.support import due_rules as rules

S = DeliveryStatus
COUNTS_AS_HAD = {S.QUEUED, S.CLAIMED, S.SENDING, S.DEFERRED, S.SENT, S.UNKNOWN}
"""Failed, skipped and cancelled give an article back."""


@dataclass
class Terms(rules.Terms):
    """A schedule, as far as it matters to readers."""

    id: int
    newsletter: int


@dataclass
class Piece:
    """An article, and for each newsletter that has it whether it is backlog there."""

    id: int
    published: datetime
    backlog: dict[int, bool]
    withdrawn: bool = False
    closed: bool = False


@dataclass
class Mail:
    """A delivery. `resent` once it was in doubt and queued again, `purged` once its digest is."""

    id: int
    digest: int
    newsletter: int
    articles: tuple[int, ...]
    status: DeliveryStatus = S.QUEUED
    resent: bool = False
    purged: bool = False

    def end(self, status: DeliveryStatus) -> None:
        """It ends so; what was in doubt before is in doubt again, for the reader may have it."""
        self.status = S.UNKNOWN if self.resent else status


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
            mail.digest == self.first and mail.status not in COUNTS_AS_HAD and not mail.purged
            for mail in self.person.mails
        )


@dataclass
class Model:
    """What should have happened so far."""

    pieces: dict[int, Piece] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    candidates_before: dict[int, dict[int, set[int]]] = field(default_factory=dict)
    dropped: set[tuple[int, int]] = field(default_factory=set)
    leads: dict[int, int] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        return max(self.pieces, default=0)

    def may_be_sent(self, piece: Piece, newsletter: int) -> bool:
        """Staff neither withdrew it nor dropped it from this newsletter, and it is not closed."""
        return not (piece.withdrawn or piece.closed) and (newsletter, piece.id) not in self.dropped

    def candidates(self, terms: Terms, slot: datetime) -> list[Piece]:
        """What a digest may hold of what has arrived by now, the newest first."""
        published = {
            piece.id: piece.published
            for piece in self.pieces.values()
            if terms.newsletter in piece.backlog and self.may_be_sent(piece, terms.newsletter)
        }
        return [self.pieces[one] for one in rules.candidates(published, terms, slot)]

    def is_expired(self, piece: Piece, terms: Terms, slot: datetime) -> bool:
        return not rules.candidates({piece.id: piece.published}, terms, slot)

    def waited(self, terms: Terms) -> set[int]:
        """The candidates of the schedule's latest digest, of those that are not purged."""
        digests = self.candidates_before.get(terms.id, {})
        return digests[max(digests)] if digests else set()

    def purge(self, digest: int) -> None:
        """Its articles are closed, and its mails are known no more."""
        for person in self.people:
            for mail in person.mails:
                if mail.digest == digest:
                    mail.purged = True
                    for article in mail.articles:
                        self.pieces[article].closed = True
        for digests in self.candidates_before.values():
            digests.pop(digest, None)

    def late(self, reader: Reader, terms: Terms, candidates: Iterable[Piece]) -> set[int]:
        """What came after the reader did; backlog never does, and what a person chose always."""
        return {
            piece.id
            for piece in candidates
            if terms.is_by_hand or (piece.id > reader.start and not piece.backlog[terms.newsletter])
        }

    def due(self, reader: Reader, terms: Terms, candidates: Sequence[Piece]) -> list[int]:
        return rules.due(
            [piece.id for piece in candidates],
            self.late(reader, terms, candidates),
            [piece.id for piece in candidates if piece.id <= reader.start],
            reader.person.had,
            terms.newcomers if reader.is_newcomer else 0,
        )

    def contents(
        self, reader: Reader, terms: Terms, candidates: Sequence[Piece]
    ) -> tuple[int, ...] | None:
        """What the reader gets, the lead first, then newest first; None where they wait."""
        return rules.contents(
            self.due(reader, terms, candidates),
            self.late(reader, terms, candidates),
            self.waited(terms),
            self.leads.get(terms.id),
            terms,
        )

    def on(self, terms: Terms) -> list[Reader]:
        """The readers of a schedule who may be mailed; of a one-off those of the whole newsletter."""
        return [one for one in self.readers if _reads(one, terms) and one.may_be_mailed]

    def excluded(self, terms: Terms, slot: datetime) -> Counter[str]:
        """Why readers of the newsletter get nothing."""
        found: Counter[str] = Counter()
        candidates = self.candidates(terms, slot)
        for reader in self.readers:
            if reader.newsletter != terms.newsletter or reader.left:
                continue
            if not _reads(reader, terms):
                found["other_schedule"] += 1
            elif reader.person.refused:
                found["suppressed"] += 1
            elif reader.paused:
                found["paused"] += 1
            elif terms.is_letter:
                continue
            elif not (due := self.due(reader, terms, candidates)):
                found["nothing_new"] += 1
            elif len(due) < terms.min_articles:
                found["too_few"] += 1
        return found

    def ends(
        self,
        terms: Terms,
        slot: datetime,
        due: dict[int, list[int]],
        contents: dict[int, tuple[int, ...]],
    ) -> Counter[str]:
        """What becomes of each of the newsletter's articles, each counted once.

        Args:
            due: what is due to whom; contents: who gets what of it.
        """
        found: Counter[str] = Counter()
        if terms.is_by_hand:
            return found
        ever = {one for person in self.people for mail in person.mails for one in mail.articles}
        candidates = {one.id for one in self.candidates(terms, slot)}
        readers = self.on(terms)
        had = set[int]().union(*(one.person.had for one in readers))
        for piece in self.pieces.values():
            if terms.newsletter not in piece.backlog:
                continue
            if (terms.newsletter, piece.id) in self.dropped:
                found["dropped"] += 1
            elif piece.withdrawn:
                found["withdrawn"] += 1
            elif piece.published > slot:
                found["later"] += 1
            elif self.is_expired(piece, terms, slot):
                found["expired"] += piece.id not in ever
            elif piece.id not in candidates:
                found["closed"] += 1
            elif any(piece.id in articles for articles in contents.values()):
                found["due"] += 1
            elif any(
                # What came in before a newcomer's start is for the first digest alone.
                piece.id in due[one.person.id]
                and (piece.id > one.start or one.person.id not in contents)
                for one in readers
            ):
                found["carried_over"] += 1
            elif piece.id in had:
                found["had"] += 1
            else:
                found["before_start"] += 1
        return found


def _reads(reader: Reader, terms: Terms) -> bool:
    if terms.is_once:
        return reader.newsletter == terms.newsletter
    return reader.schedule == terms.id
