"""Remembers of a sender's last claims where each ended and what was waiting, so that the next goes on there.

Pure. Never makes a row wait for long: what waits before that place is found when nothing waits behind it,
and at the latest after `RENEW_SECONDS`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

RENEW_SECONDS: Final = 5.0

SOURCES_SECONDS: Final = 0.5
"""How long a claim may rely on what the last one saw waiting: a notice that came since waits so long."""


class Place(NamedTuple):
    """A row's place in the order in which the rows of a digest are claimed."""

    after_at: datetime
    after_id: int


BEGINNING: Final = Place(datetime.min.replace(tzinfo=UTC), 0)


class LastClaims:
    """Behind which row of each digest one sender's next claim begins, and which digests it may ask.

    While a snapshot is held open, PostgreSQL keeps the entries of all rows that have waited: a claim from the
    beginning walks over every mail that has been sent.
    """

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._begun: dict[int, datetime] = {}
        self._sources: Sequence[int] = ()
        self._sources_at = BEGINNING.after_at

    def sources(self, now: datetime) -> Sequence[int]:
        """Return what claims may take rows from, if that was asked just now; see `statements.sources`."""
        is_fresh = timedelta() <= now - self._sources_at < timedelta(seconds=SOURCES_SECONDS)
        return self._sources if is_fresh else ()

    def remember_sources(self, sources: Sequence[int], now: datetime) -> None:
        """Remember what claims may take rows from; nothing, if that may have changed."""
        self._sources, self._sources_at = sources, now

    def begin(self, digest_id: int, now: datetime) -> Place:
        """Return behind which row a claim of this digest begins."""
        age = now - self._begun.get(digest_id, now)
        # The clock may have been set back.
        if digest_id in self._places and timedelta() <= age < timedelta(seconds=RENEW_SECONDS):
            return self._places[digest_id]
        self._begun[digest_id] = now
        return BEGINNING

    def end(self, digest_id: int, last: Place | None) -> None:
        """Note the last row of a claim; None if it has found fewer than it asked for."""
        if last is None:
            self._places.pop(digest_id, None)
        else:
            self._places[digest_id] = last
