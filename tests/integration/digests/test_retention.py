"""What is kept of an old digest, and what is not: its articles are due to nobody, and its numbers add up."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, pairwise
from threading import Barrier

import pytest
from sqlalchemy import func, select, update

from mailer import schema
from mailer.bounces.evidence import Recorded
from mailer.db import Base, Database
from mailer.digests import listings, retention
from mailer.digests.editing import edits, one_off
from mailer.digests.editing.edits import EditChanges
from mailer.digests.selection import article_queries
from mailer.digests.selection.explain import count_articles, explain_to_reader
from mailer.digests.selection.plan import for_reader, plan_digest
from mailer.digests.staff_mail.report import read_report
from mailer.errors import Refused
from mailer.feeds.articles import add_article, list_articles
from mailer.ledger import digest_state, in_doubt
from mailer.models import (
    Article,
    BounceEvent,
    Candidate,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestCount,
    DigestStatus,
    Edition,
    EditionArticle,
    EvidenceKind,
    Newsletter,
    Review,
    Schedule,
    Subscription,
    Suppression,
)
from mailer.monitoring.digest_progress import describe_digest
from mailer.subscribers.readers import mails_of
from mailer.tokens import Keys
from tests.integration.digests.test_builder import slot_of
from tests.support import factories as make
from tests.support.bounces import report
from tests.support.factories import NOW

DAY = timedelta(days=1)
STATUSES = ("sent", "sent", "failed", "unknown", "skipped", "cancelled")
KEPT = {"total": 6, "sent": 2, "failed": 1, "unknown": 1, "skipped": 1, "cancelled": 1}
ROWS = (Delivery, Candidate, EditionArticle, BounceEvent, Review)


@dataclass(frozen=True)
class Old:
    """An old digest with everything that belongs to one, its newsletter, and one article of two in it."""

    digest: Digest
    newsletter: Newsletter
    schedule: Schedule
    article: Article
    readers: list[Subscription]
    mails: list[Delivery]


@pytest.fixture
def old(database: Database, keys: Keys) -> Old:
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, newcomers=5)
        article, second = make.articles(session, 2, newsletter)
        digest = make.digest(
            session,
            schedule,
            due_at=NOW - 9 * DAY,
            status=DigestStatus.SENT,
            finished_at=NOW - 9 * DAY,
            failures_read_at=NOW - 9 * DAY,
        )
        edition = make.edition(session, digest, [article, second])
        session.add(Candidate(digest_id=digest.id, article_id=article.id, backlog=False))
        readers, mails = [], []
        for number, status in enumerate(STATUSES):
            reader = make.reader(
                session, keys, schedule, f"reader{number}@one.example", start_article=0,
                confirmed_at=NOW - 99 * DAY, first_digest_id=digest.id,
            )  # fmt: skip
            readers.append(reader)
            mails.append(
                make.delivery(
                    session,
                    edition,
                    reader,
                    status=DeliveryStatus(status),
                    in_doubt=number,
                    created_at=NOW - 9 * DAY,
                    code=550,
                    reply="5.1.1 no such user",
                )
            )
        row = make.review(session, schedule)
        row.slot = digest.slot
    return Old(digest, newsletter, schedule, article, readers, mails)


def purge(database: Database, go_on: Callable[[], bool] = lambda: True) -> int:
    return retention.purge_digests(database, before=NOW - DAY, wall=lambda: NOW, go_on=go_on)


def rows_left(database: Database) -> int:
    with database.read() as session:
        return sum(session.scalar(select(func.count()).select_from(one)) or 0 for one in ROWS)


def test_its_rows_go_and_its_numbers_stay(database: Database, keys: Keys, old: Old) -> None:
    with database.write() as session:
        report(session, keys, old.mails[:1], diagnostic="550 5.1.1 no such user")
        report(session, keys, old.mails[1:2], kind=EvidenceKind.COMPLAINT)
        session.execute(update(Suppression).values(event_id=None))
    with database.read() as session:
        before = describe_digest(session, old.digest.id, give_up_after=DAY, now=NOW)
        told = read_report(session, old.digest.id)

    assert purge(database) == 1
    assert rows_left(database) == 0
    assert purge(database) == 0

    with database.read() as session:
        after = describe_digest(session, old.digest.id, give_up_after=DAY, now=NOW)
        assert after["deliveries"] == before["deliveries"] == KEPT | {"pending": 0}
        assert after["in_doubt"] == before["in_doubt"] == 15
        assert after["returned"] == before["returned"] == {"hard": 1, "complaint": 1}
        assert [(one.number, one.readers) for one in after["editions"]] == [(1, 6)]
        assert after["purged_at"] == NOW
        kept = read_report(session, old.digest.id)
        assert (kept.failures, kept.left, kept.returned, kept.returned_reasons) == (
            told.failures, told.left, told.returned, told.returned_reasons,
        )  # fmt: skip
        assert set(session.execute(select(Edition.html, Edition.text))) == {("", "")}
        _, missed = mails_of(session, keys.key_hash("reader0@one.example"))
        assert [mail.why for mail in missed] == [
            "older than the retention: who got it is not known any more"
        ]
        (listed,) = listings.digests(session)
        assert listed.subject == "News of the day"
    assert schema.dangling_references(database) == {}


def test_its_articles_are_due_to_nobody_whatever_staff_change(
    database: Database, keys: Keys, old: Old
) -> None:
    purge(database)
    with database.write() as session:
        schedule = session.get_one(Schedule, old.schedule.id)
        schedule.max_age = 9999 * DAY
        newcomer = make.reader(session, keys, schedule, "new@one.example", start_article=10**6)
        assert newcomer.id
    with database.read() as session:
        plan = plan_digest(session, schedule, slot_of(schedule))
        assert plan.candidates == ()
        assert count_articles(session, schedule, plan)["closed"] == 2
        for who in ("new", *(f"reader{number}" for number in range(6))):
            assert for_reader(session, schedule, plan, f"{who}@one.example").cohort is None
            told = explain_to_reader(session, schedule, plan, f"{who}@one.example")
            assert {why for _, why in told} == {"closed"}
        assert list_articles(session, unsent=True) == []
        assert [one.closed for one in list_articles(session)] == [True, True]


def test_staff_who_want_a_closed_article_are_told(database: Database, old: Old) -> None:
    purge(database)
    rule = one_off.rule_at((NOW + DAY).strftime("%Y-%m-%d %H:%M"), "UTC")
    with database.write() as session:
        newsletter = session.get_one(Newsletter, old.newsletter.id)
        schedule = session.get_one(Schedule, old.schedule.id)
        article = session.get_one(Article, old.article.id)
        with pytest.raises(Refused, match="is closed"):
            add_article(session, newsletter, url=article.url, title="x", now=NOW)
        with pytest.raises(Refused, match="is closed"):
            edits.edit(session, newsletter, schedule, EditChanges(lead=article.id), now=NOW)
        with pytest.raises(Refused, match="is closed"):
            one_off.add_once(
                session, newsletter, rule, EditChanges(), articles=[article.id], now=NOW
            )


def test_it_makes_nobody_a_newcomer_again(database: Database, old: Old) -> None:
    """Also not a reader whose first digest was given back: what was in it is closed."""
    purge(database)
    with database.write() as session:
        make.article(session, session.get_one(Newsletter, old.newsletter.id), backlog=True)
        schedule = session.get_one(Schedule, old.schedule.id)
        plan = plan_digest(session, schedule, slot_of(schedule))
    assert [(group.newcomer, group.readers) for group in plan.groups] == [(False, 6)]


def test_what_still_comes_back_of_it_is_of_no_mail_of_ours(
    database: Database, keys: Keys, old: Old
) -> None:
    with database.read() as session:
        counts = retention.read_counts(session, old.digest.id)
    for finish in (lambda: None, lambda: purge(database)):
        with database.write() as session:
            # From the moment it is closed, while its rows are still there.
            retention.close(session, old.digest.id, counts, before=NOW - DAY, now=NOW)
        finish()
        with database.write() as session:
            assert report(session, keys, old.mails[:2]) == Recorded(0, 0, 2)
    assert rows_left(database) == 0


def test_why_somebody_gets_no_mail_stays(database: Database, keys: Keys, old: Old) -> None:
    with database.write() as session:
        report(session, keys, old.mails[:2], kind=EvidenceKind.COMPLAINT)
        session.execute(
            update(Suppression)
            .where(Suppression.key_hash == keys.key_hash("reader1@one.example"))
            .values(event_id=None)
        )
    purge(database)
    with database.read() as session:
        kept = session.scalars(select(BounceEvent.key_hash)).all()
    assert kept == [keys.key_hash("reader0@one.example")]


@pytest.mark.parametrize(
    "values",
    [
        {"finished_at": NOW - DAY + timedelta(seconds=1), "failures_read_at": NOW},
        {"failures_read_at": None},
        {"status": DigestStatus.PAUSED},
        {"status": DigestStatus.SENDING, "finished_at": None},
    ],
)
def test_it_stays_until_all_is_over(
    database: Database, old: Old, values: dict[str, object]
) -> None:
    with database.write() as session:
        session.execute(update(Digest).values(values))
    assert purge(database) == 0
    assert rows_left(database)


def test_it_stays_while_a_mail_of_it_is_on_its_way(database: Database, old: Old) -> None:
    with database.write() as session:
        session.execute(update(Digest).values(status=DigestStatus.CANCELLED))
        session.execute(
            update(Delivery)
            .where(Delivery.id == old.mails[0].id)
            .values(status=DeliveryStatus.SENDING)
        )
    assert purge(database) == 0


def test_what_is_in_doubt_is_not_sent_again_once_it_is_closed(database: Database, old: Old) -> None:
    with database.read() as session:
        counts = retention.read_counts(session, old.digest.id)
    with database.write() as session:
        assert retention.close(session, old.digest.id, counts, before=NOW - DAY, now=NOW)
        assert in_doubt.resend(session, old.digest.id, NOW) is None


def test_staff_who_have_it_sent_again_meanwhile_are_first(database: Database, old: Old) -> None:
    with database.read() as session:
        counts = retention.read_counts(session, old.digest.id)
    with database.write() as session:
        assert in_doubt.resend(session, old.digest.id, NOW) == 1
    with database.write() as session:
        assert not retention.close(session, old.digest.id, counts, before=NOW - DAY, now=NOW)
        assert digest_state.counts(session, old.digest.id).pending == 1
        assert not session.scalars(
            select(Article.closed_at).where(Article.closed_at.is_not(None))
        ).all()


def test_a_purge_goes_on_after_a_kill_between_any_two_transactions(
    database: Database, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    seen = []
    while not seen or seen[-1]:
        turns = count()
        purge(database, lambda turns=turns: next(turns) < 1)  # type: ignore[misc]
        seen.append(rows_left(database))
        with database.read() as session:
            counts = digest_state.counts(session, old.digest.id)
            closed = session.scalars(
                select(Article.closed_at).where(Article.closed_at.is_not(None))
            )
            assert len(closed.all()) == 2
        assert (counts.total, counts.sent, counts.failed, counts.pending) == (6, 2, 1, 0)
    # First it is closed, then a few rows go at a time.
    assert len(seen) >= 5
    assert max(before - after for before, after in pairwise(seen)) <= 3
    with database.read() as session:
        assert retention.left_over(session) == []


def test_a_build_that_began_before_finishes_asking_who_has_had_what(
    database: Database, old: Old
) -> None:
    with database.write() as session:
        building = make.digest(session, old.schedule, status=DigestStatus.BUILDING)
        session.add(Candidate(digest_id=building.id, article_id=old.article.id, backlog=False))
    assert purge(database) == 1
    with database.write() as session:
        numbers = session.scalar(select(func.count()).select_from(Delivery))
        assert numbers == 6
        source = article_queries.frozen(building.id)
        frozen = article_queries.load_candidates(session, source, old.schedule.id, building.id)
        assert frozen == [], "it holds what was closed before it looked"
        session.execute(
            update(Digest).where(Digest.id == building.id).values(status=DigestStatus.SKIPPED)
        )
    purge(database)
    with database.read() as session:
        assert not session.scalar(select(func.count()).select_from(Delivery))


def test_several_purge_at_once(
    database: Database, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    barrier = Barrier(3)

    def one() -> int:
        barrier.wait()
        return purge(database)

    with ThreadPoolExecutor(3) as pool:
        purged = [future.result() for future in [pool.submit(one) for _ in range(3)]]
    assert sum(purged) == 1
    assert rows_left(database) == 0
    with database.read() as session:
        names = session.scalars(select(DigestCount.name)).all()
        assert len(names) == len(set(names))
        assert digest_state.counts(session, old.digest.id).total == 6


def test_it_deletes_every_row_that_belongs_to_a_digest_alone() -> None:
    """Add a table here once it is decided whether a purge deletes its rows."""
    tables = {table.name for table in Base.metadata.sorted_tables if "digest_id" in table.columns}
    assert tables == {"bounce_event", "candidate", "delivery", "digest_count", "edition", "edits"}
