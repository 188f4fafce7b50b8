"""A plan says of every article what becomes of it, for all readers and for one."""

from datetime import timedelta

from sqlalchemy import func, select

from mailer.db import Database
from mailer.digests.editing.edits import EditChanges, edit
from mailer.digests.selection.explain import count_articles, explain_to_reader
from mailer.digests.selection.plan import plan_digest
from mailer.models import NewsletterArticle
from mailer.tokens import Keys
from tests.integration.digests.test_builder import DAY, slot_of
from tests.support import factories as make
from tests.support.factories import NOW


def test_every_article_is_counted_once(database: Database, keys: Keys) -> None:
    with database.write() as session:
        newsletter = make.newsletter(session)
        other = make.newsletter(session, "other")
        schedule = make.schedule(session, newsletter, max_articles=2)
        early, had, waits, _, first, dropped, _, _, _, old_sent, _ = (
            make.article(
                session,
                newsletter,
                title=title,
                published_at=NOW - timedelta(hours=hours),
                backlog=title == "backlog",
                withdrawn_at=NOW if title == "gone" else None,
            )
            for title, hours in {
                "early": 20, "had": 9, "waits": 8, "second": 7, "first": 6, "dropped": 5,
                "gone": 4, "later": -9, "old": 9999, "old, sent": 9998, "backlog": 3,
            }.items()
        )  # fmt: skip
        make.article(session, other, title="elsewhere")
        before = make.digest(session, schedule, due_at=NOW - DAY)
        sent = make.edition(session, before, [had, old_sent])
        for name in ("anna", "boris"):
            reader = make.reader(
                session,
                keys,
                schedule,
                f"{name}@example.com",
                start_article=early.id,
                first_digest_id=before.id,
            )
            make.delivery(session, sent, reader, status="sent")
        late = make.reader(
            session, keys, schedule, "late@example.com", start_article=10**6,
            first_digest_id=before.id,
        )  # fmt: skip
        assert late.id
        edit(session, newsletter, schedule, EditChanges(drop=[dropped.id]), now=NOW)
    with database.read() as session:
        plan = plan_digest(session, schedule, slot_of(schedule))
        counted = count_articles(session, schedule, plan)
        assert counted == {
            "due": 2,
            "carried_over": 1,
            "had": 1,
            "before_start": 2,
            "dropped": 1,
            "withdrawn": 1,
            "later": 1,
            "expired": 1,
            "closed": 0,
        }
        of_it = session.scalar(
            select(func.count())
            .select_from(NewsletterArticle)
            .where(NewsletterArticle.newsletter_id == newsletter.id)
        )
        # The old one that was sent is no news.
        assert sum(counted.values()) + 1 == of_it
        told = {
            article.title: why
            for article, why in explain_to_reader(session, schedule, plan, "anna@example.com")
        }
        assert told == {
            "first": "due",
            "second": "due",
            "waits": "carried_over",
            "had": "had",
            "early": "before_start",
            "backlog": "before_start",
            "dropped": "dropped",
            "gone": "withdrawn",
            "later": "later",
        }
        nothing = explain_to_reader(session, schedule, plan, "late@example.com")
        assert {why for article, why in nothing if article.id in (first.id, waits.id)} == {
            "before_start"
        }
        assert explain_to_reader(session, schedule, plan, "nobody@example.com") == []
