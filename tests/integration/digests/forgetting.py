"""What is forgotten in a random life: old digests are purged, while staff change how old articles may be.

The program purges as the scheduler does, also interrupted between any two transactions.
"""

from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Final

from sqlalchemy import select, update

from mailer.digests import retention
from mailer.ledger import digest_state
from mailer.models import Article, DeliveryStatus, Digest, Schedule
from tests.integration.digests.model import COUNTS_AS_HAD, Mail
from tests.integration.digests.newsroom import DAY
from tests.integration.digests.readership import PENDING, Readership

_FOREVER: Final = 10**9


class Forgetting(Readership):
    """A newsroom and its readers, whose old digests are purged now and then."""

    def purge(self) -> None:
        """Digests that finished some days ago are purged; sometimes the process is killed meanwhile."""
        steps = self.random.choice([1, 2, 3, 5, _FOREVER, _FOREVER])
        self._purge(self.random.choice([1, 3, 10, 25]), steps)

    def change_max_age(self) -> None:
        """Staff let articles be older in a schedule's digests, or less old."""
        schedule = self.random.choice(self.schedules)
        max_age = self.random.choice([8, 14, 40, 400]) * DAY
        with self.database.write() as session:
            session.get_one(Schedule, schedule.id).max_age = max_age
        self.terms[schedule.id] = replace(self.terms[schedule.id], max_age=max_age)
        self.happened["max_age changed"] += 1

    def check_what_is_kept(self) -> None:
        """Nobody was sent a piece twice, also by what is purged; and the numbers of that are kept."""
        self._purge(_FOREVER, _FOREVER)
        purged: dict[int, list[Mail]] = {}
        for person in self.model.people:
            had = Counter(
                article
                for mail in person.mails
                if mail.status in COUNTS_AS_HAD
                for article in mail.articles
            )
            assert not had or max(had.values()) == 1, f"person {person.id} got a piece twice: {had}"
            for mail in person.mails:
                if mail.purged:
                    purged.setdefault(mail.digest, []).append(mail)
        with self.database.read() as session:
            for digest_id, mails in purged.items():
                counts = digest_state.counts(session, digest_id)
                ended = Counter(mail.status for mail in mails)
                assert counts.total == len(mails)
                assert counts.pending == 0
                for status in set(DeliveryStatus) - PENDING - {"claimed", "sending"}:
                    assert getattr(counts, status.value) == ended[status], (digest_id, status)
            closed = set(session.scalars(select(Article.id).where(Article.closed_at.is_not(None))))
            assert retention.left_over(session) == []
        assert closed == {piece.id for piece in self.model.pieces.values() if piece.closed}

    def _purge(self, days: int, steps: int) -> None:
        turns = count()
        with self.database.write() as session:
            session.execute(update(Digest).values(failures_read_at=Digest.finished_at))
        before = self.now - min(days, 10_000) * DAY
        retention.purge_digests(
            self.database, before=before, wall=lambda: self.now, go_on=lambda: next(turns) < steps
        )
        with self.database.read() as session:
            purged = set(session.scalars(select(Digest.id).where(Digest.purged_at == self.now)))
        for digest_id in purged:
            self.model.purge(digest_id)
            self.happened["purged"] += 1
