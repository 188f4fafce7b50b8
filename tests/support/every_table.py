"""Puts a row into every table, for tests of what happens to the database as a whole."""

from mailer.db import Database
from mailer.models import (
    ArticleCategory,
    BounceEvent,
    Candidate,
    ChosenArticle,
    ClientRequest,
    DigestCount,
    DroppedArticle,
    Edits,
    EvidenceKind,
    Feed,
    FeedGuid,
    HeldItem,
    JournalEntry,
    JournalKind,
    MailboxFetch,
    NewsletterFeedCategory,
    Tally,
    TokenBucket,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW


def held(feed: Feed, url: str) -> HeldItem:
    return HeldItem(feed_id=feed.id, canonical_url=url, guids="[]", content="{}", held_at=NOW)


def came_back(digest_id: int) -> BounceEvent:
    at = {"mailed_at": NOW, "reported_at": NOW, "recorded_at": NOW}
    said = {"kind": EvidenceKind.HARD, "reason": "user_unknown", "source": "imap"}
    return BounceEvent(delivery_id=1, digest_id=digest_id, key_hash="0", **said, **at)


def fill(database: Database, keys: Keys) -> None:
    """Put at least one row into every table."""
    with database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(session, newsletter)
        feed = factories.feed(session, newsletter)
        article = factories.article(session, newsletter)
        subscription = factories.reader(session, keys, schedule)
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest, [article])
        factories.delivery(session, edition, subscription, worker_id=factories.worker(session).id)
        signup = factories.signup(session, keys, schedule)
        factories.consent_event(session, keys)
        factories.suppression(session, keys)
        review = factories.review(session, schedule)
        of = {"signup_id": signup.id, "newsletter_id": newsletter.id, "review_id": review.id}
        factories.notice(session, keys, **of)
        subscription.first_digest_id = digest.id
        edits = Edits(schedule_id=schedule.id, lead_id=article.id, updated_at=NOW)
        session.add(edits)
        session.flush()
        sender = factories.worker(session)
        daily = {"newsletter_id": newsletter.id}
        session.add_all(
            [
                ClientRequest(network="2001:db8::/64", wider_network="2001:db8::/48", at=NOW),
                TokenBucket(id=1, tokens=0.0, filled_at=NOW),
                Tally(worker_id=sender.id, outcome="failed", reason="policy", number=1),
                ArticleCategory(article_id=article.id, category="sport"),
                Candidate(digest_id=digest.id, article_id=article.id, backlog=False),
                ChosenArticle(schedule_id=schedule.id, article_id=article.id),
                DroppedArticle(article_id=article.id, edits_id=edits.id, dropped_at=NOW, **daily),
                FeedGuid(feed_id=feed.id, guid="1", article_id=article.id, first_seen_at=NOW),
                held(feed, "https://news.example/held"),
                came_back(digest.id),
                MailboxFetch(mailbox="imaps://bounce@mail.example/INBOX", fetched_at=NOW),
                DigestCount(digest_id=digest.id, name="sent", number=1),
                JournalEntry(at=NOW, kind=JournalKind.LEFT, key_hash="0" * 64, newsletter="daily"),
                NewsletterFeedCategory(feed_id=feed.id, category="sport", **daily),
            ]
        )
