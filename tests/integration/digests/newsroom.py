"""What a newsroom does in a random life: articles come in, are edited, withdrawn, dropped; one-offs are made.

Whatever is random comes from one seed, also the schedules' terms. Each act goes through the functions that
the commands call, and is told to the model.
"""

import heapq
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy.orm import Session

from mailer.clock import zone
from mailer.db import Database
from mailer.digests.editing import edits, one_off
from mailer.digests.editing.edits import EditChanges
from mailer.digests.editing.introduction import Intro
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot, slots
from mailer.errors import Refused
from mailer.feeds.articles import add_article, edit_article, withdraw_article
from mailer.models import (
    Article,
    Holds,
    Newsletter,
    NewsletterArticle,
    Schedule,
    ScheduleKind,
)
from mailer.tokens import Keys
from tests.integration.digests.model import Model, Piece, Terms
from tests.support import factories as make
from tests.support.factories import NOW

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Newsroom:
    """Two newsletters that share articles, and whoever writes them.

    Args:
        roomy: every digest has room for whatever is due.
    """

    def __init__(self, database: Database, keys: Keys, seed: int, *, roomy: bool) -> None:
        self.random = random.Random(seed)
        self.database = database
        self.keys = keys
        self.roomy = roomy
        self.model = Model()
        self.now = NOW
        self.happened: Counter[str] = Counter()
        self.coming: list[tuple[datetime, int, Schedule, Slot]] = []
        with database.write() as session:
            self.worker = make.worker(session).id
            self.newsletters = [
                make.newsletter(session, "city"),
                make.newsletter(session, "region"),
            ]
            self.schedules = self._schedules(session, *self.newsletters)
        self.terms = {one.id: _terms(one, one.max_age or timedelta()) for one in self.schedules}

    def _schedules(self, session: Session, city: Newsletter, region: Newsletter) -> list[Schedule]:
        """A daily and a weekly of one newsletter, and one of another that shares articles with it."""
        choose = self.random.choice
        zone = choose(["Europe/Paris", "America/New_York", "Asia/Yerevan", "Australia/Lord_Howe"])
        at = choose(["06:00", "00:00", "02:30", "23:45"])

        def limits() -> dict[str, Any]:
            return {
                "zone": zone,
                "at": at,
                "active_from": NOW,
                "max_age": choose([8, 9, 14]) * DAY,
                "max_lateness": 6 * HOUR,
                "min_articles": 1 if self.roomy else choose([1, 1, 2, 3]),
                "max_articles": 100 if self.roomy else choose([3, 4, 6, 20]),
                "newcomers": choose([0, 2, 5]),
            }

        often: dict[str, Any] = choose(
            [
                {"days": choose([None, "mon,tue,wed,thu,fri"])},
                {"kind": ScheduleKind.CRON, "cron": "0 7,17 * * *"},
            ]
        )
        return [
            make.schedule(session, city, "daily", **limits() | often),
            make.schedule(session, city, "weekly", **limits(), days=choose(["mon", "thu", "sat"])),
            make.schedule(session, region, "daily", **limits()),
        ]

    def arrive(self) -> None:
        """An article comes in: on time, late, dated back or ahead; for one newsletter or both."""
        some = self.random.choice([self.newsletters[:1], self.newsletters[1:], self.newsletters])
        hours = self.random.choice([0, -1, -2, -5, -30, -100, -400, 12, 30])
        backlog = self.random.random() < 0.08
        published = self.now + timedelta(hours=hours, minutes=self.random.randrange(60))
        with self.database.write() as session:
            row: Article = make.article(session, *some, backlog=backlog, published_at=published)
        self.model.pieces[row.id] = Piece(row.id, published, {one.id: backlog for one in some})

    def attach(self) -> None:
        """What was there comes into another newsletter, as backlog: a feed was attached to it."""
        piece = self._some_piece()
        if piece is None or len(piece.backlog) == 2:
            return
        [other] = [one.id for one in self.newsletters if one.id not in piece.backlog]
        with self.database.write() as session:
            session.add(
                NewsletterArticle(
                    newsletter_id=other, article_id=piece.id, backlog=True, added_at=self.now
                )
            )
        piece.backlog[other] = True

    def edit(self) -> None:
        """Staff write another headline, which makes it no other piece."""
        piece = self._some_piece()
        if piece is not None:
            with self.database.write() as session:
                edit_article(session, piece.id, title=f"Again {self.now}", now=self.now)

    def withdraw(self) -> None:
        piece = self._some_piece()
        if piece is not None:
            with self.database.write() as session:
                withdraw_article(session, piece.id, now=self.now)
            piece.withdrawn = True

    def add(self) -> None:
        """Staff put a known piece into a newsletter: due there, also where it was withdrawn or backlog."""
        piece = self._some_piece()
        newsletter = self.random.choice(self.newsletters)
        if piece is None or (
            piece.backlog.get(newsletter.id) is False
            and self.model.may_be_sent(piece, newsletter.id)
        ):
            return
        if piece.closed:
            with self.database.write() as session, pytest.raises(Refused, match="is closed"):
                url = session.get_one(Article, piece.id).url
                add_article(session, newsletter, url=url, title="x", now=self.now)
            self.happened["closed one added"] += 1
            return
        with self.database.write() as session:
            url = session.get_one(Article, piece.id).url
            found, is_new = add_article(session, newsletter, url=url, title="x", now=self.now)
        assert (found, is_new) == (piece.id, False)
        piece.backlog[newsletter.id] = False
        piece.withdrawn = False
        self.model.dropped.discard((newsletter.id, piece.id))

    def drop(self) -> None:
        """Staff withhold a piece from one newsletter's digests."""
        schedule, piece = self.random.choice(self.schedules), self._some_piece()
        if piece is None or schedule.newsletter_id not in piece.backlog:
            return
        self._edit(schedule, EditChanges(drop=[piece.id]))
        self.model.dropped.add((schedule.newsletter_id, piece.id))
        for one, lead in list(self.model.leads.items()):
            if lead == piece.id and self.terms[one].newsletter == schedule.newsletter_id:
                del self.model.leads[one]

    def lead(self) -> None:
        """Staff want a piece first in a schedule's coming digest."""
        schedule = self.random.choice(self.schedules)
        with self.database.read() as session:
            slot = slot_lookup.next_free_slot(session, schedule, now=self.now)
        assert slot is not None
        candidates = self.model.candidates(self.terms[schedule.id], slot.due_at)
        if candidates:
            piece = self.random.choice(candidates)
            self._edit(schedule, EditChanges(lead=piece.id))
            self.model.leads[schedule.id] = piece.id
            self.happened["lead"] += 1

    def once(self) -> None:
        """Staff plan a one-off within the next two days: a letter, chosen pieces, or the latest."""
        newsletter = self.random.choice(self.newsletters)
        holds = self.random.choice([Holds.DUE, Holds.CHOSEN, Holds.NONE])
        pieces = [
            one.id
            for one in list(self.model.pieces.values())[-40:]
            if newsletter.id in one.backlog and self.model.may_be_sent(one, newsletter.id)
        ]
        chosen = self.random.sample(pieces, min(len(pieces), 3)) if holds is Holds.CHOSEN else []
        if holds is Holds.CHOSEN and not chosen:
            return
        at = self.now.astimezone(zone("Europe/Paris")) + self.random.randrange(1, 48) * HOUR
        rule = one_off.rule_at(at.strftime("%Y-%m-%d %H:%M"), "Europe/Paris")
        [slot] = slots(rule, self.now - DAY)
        if slot.due_at <= self.now:
            return
        intro = Intro("<p>Dear readers</p>", "Dear readers") if holds is Holds.NONE else None
        with self.database.write() as session:
            schedule = one_off.add_once(
                session,
                session.get_one(Newsletter, newsletter.id),
                rule,
                EditChanges(intro=intro),
                articles=chosen,
                now=self.now,
            )
        self.terms[schedule.id] = _terms(schedule, 30 * DAY, tuple(chosen))
        if chosen:
            self.model.leads[schedule.id] = chosen[0]
        heapq.heappush(self.coming, (slot.due_at, schedule.id, schedule, slot))
        self.happened[f"once: {holds}"] += 1

    def _edit(self, schedule: Schedule, changes: EditChanges) -> None:
        with self.database.write() as session:
            edits.edit(
                session,
                session.get_one(Newsletter, schedule.newsletter_id),
                session.get_one(Schedule, schedule.id),
                changes,
                now=self.now,
            )

    def _some_piece(self) -> Piece | None:
        pieces = list(self.model.pieces.values())[-60:]
        return self.random.choice(pieces) if pieces else None


def _terms(schedule: Schedule, max_age: timedelta, chosen: tuple[int, ...] = ()) -> Terms:
    return Terms(
        id=schedule.id,
        newsletter=schedule.newsletter_id,
        max_age=max_age,
        min_articles=schedule.min_articles,
        max_articles=schedule.max_articles,
        newcomers=schedule.newcomers,
        is_once=schedule.kind is ScheduleKind.ONCE,
        is_letter=schedule.holds is Holds.NONE,
        chosen=chosen,
    )
