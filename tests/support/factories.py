"""Makes rows for tests: one small function a kind, with defaults for all that a test does not care about.

Everything happens at NOW unless the test says otherwise. Flushes, never commits.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, func, insert, literal, select
from sqlalchemy.orm import Session

from mailer.address import parse, rate_key
from mailer.models import (
    Article,
    BounceEvent,
    ConsentEvent,
    ConsentKind,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    EvidenceKind,
    Feed,
    JournalEntry,
    JournalKind,
    Newsletter,
    NewsletterArticle,
    NewsletterFeed,
    Notice,
    NoticeKind,
    Review,
    Schedule,
    ScheduleKind,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
    Wording,
    Worker,
    WorkerRole,
)
from mailer.tokens import Keys

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)

_public_ids = count(0x1000_0000_0000_0001)
_names = count(1)


def _add(session: Session, row: Any) -> Any:
    session.add(row)
    session.flush()
    return row


def _person(keys: Keys, address: str) -> dict[str, Any]:
    """The columns that say whose row it is."""
    parsed = parse(address)
    return {
        "address": parsed.typed,
        "address_key": parsed.key,
        "key_hash": keys.key_hash(parsed.key),
    }


def newsletter(session: Session, slug: str = "daily", **values: Any) -> Newsletter:
    defaults: dict[str, Any] = {
        "title": "The Daily",
        "language": "en",
        "from_name": "The Daily",
        "from_address": "daily@news.example",
        "reply_to": None,
        "postal_address": "1 Sample Street, 12345 Sampletown",
        "list_id": f"{slug}.news.example",
        "logo_url": None,
        "color": "#1a4d8f",
        "created_at": NOW,
    }
    return _add(session, Newsletter(slug=slug, **(defaults | values)))


def schedule(
    session: Session, newsletter: Newsletter, name: str = "morning", **values: Any
) -> Schedule:
    """A daily schedule at 07:00 UTC that is active since a day before NOW; the first is the default."""
    first = not session.scalar(
        select(func.count())
        .select_from(Schedule)
        .where(Schedule.newsletter_id == newsletter.id, Schedule.is_default)
    )
    defaults: dict[str, Any] = {
        "kind": ScheduleKind.DAYS,
        "at": "07:00",
        "zone": "UTC",
        "is_default": first,
        "active_from": NOW - timedelta(days=1),
        "created_at": NOW - timedelta(days=1),
    }
    return _add(session, Schedule(newsletter_id=newsletter.id, name=name, **(defaults | values)))


def feed(session: Session, newsletter: Newsletter | None = None, **values: Any) -> Feed:
    number = next(_names)
    defaults: dict[str, Any] = {
        "url": f"https://news.example/feed-{number}.xml",
        "title": f"Feed {number}",
        "next_fetch_at": NOW,
        "created_at": NOW,
    }
    row: Feed = _add(session, Feed(**(defaults | values)))
    if newsletter is not None:
        session.add(NewsletterFeed(newsletter_id=newsletter.id, feed_id=row.id, attached_at=NOW))
        session.flush()
    return row


def article(
    session: Session, *newsletters: Newsletter, backlog: bool = False, **values: Any
) -> Article:
    """An article, published an hour before NOW, in each of `newsletters`."""
    number = next(_names)
    at = values.get("published_at", NOW - timedelta(hours=1))
    url = values.get("url", f"https://news.example/{number}")
    defaults: dict[str, Any] = {
        "canonical_url": url,
        "url": url,
        "title": f"Article {number}",
        "summary_html": f"<p>Summary of article {number}.</p>",
        "published_at": at,
        "first_seen_at": at,
        "updated_at": at,
    }
    row: Article = _add(session, Article(**(defaults | values)))
    for one in newsletters:
        session.add(
            NewsletterArticle(newsletter_id=one.id, article_id=row.id, backlog=backlog, added_at=at)
        )
    session.flush()
    return row


def articles(
    session: Session, number: int, *newsletters: Newsletter, **values: Any
) -> list[Article]:
    return [article(session, *newsletters, **values) for _ in range(number)]


def subscriber(
    session: Session, keys: Keys, address: str = "reader@example.com", **values: Any
) -> Subscriber:
    defaults = _person(keys, address) | {
        "public_id": next(_public_ids),
        "created_at": NOW - timedelta(days=1),
    }
    return _add(session, Subscriber(**(defaults | values)))


def subscription(
    session: Session, subscriber: Subscriber, schedule: Schedule, **values: Any
) -> Subscription:
    """A confirmed subscription that starts before the first article."""
    defaults: dict[str, Any] = {
        "public_id": next(_public_ids),
        "start_article": 0,
        "confirmed_at": NOW - timedelta(days=1),
    }
    return _add(
        session,
        Subscription(
            subscriber_id=subscriber.id,
            newsletter_id=schedule.newsletter_id,
            schedule_id=schedule.id,
            **(defaults | values),
        ),
    )


def reader(
    session: Session,
    keys: Keys,
    schedule: Schedule,
    address: str = "reader@example.com",
    **values: Any,
) -> Subscription:
    """A new subscriber with a confirmed subscription to `schedule`."""
    return subscription(session, subscriber(session, keys, address), schedule, **values)


def readers(
    session: Session, keys: Keys, schedule: Schedule, number: int, **values: Any
) -> list[Subscription]:
    """`number` subscribers: reader1@example.com and so on."""
    return [
        reader(session, keys, schedule, f"reader{index}@example.com", **values)
        for index in range(1, number + 1)
    ]


def many_readers(
    session: Session, keys: Keys, schedule: Schedule, number: int, domain: str = "example.com"
) -> None:
    """As `readers`, for numbers that need bulk statements: reader1@domain and so on."""
    before = NOW - timedelta(days=1)
    people = [_person(keys, f"reader{index}@{domain}") for index in range(1, number + 1)]
    session.execute(
        insert(Subscriber),
        [one | {"public_id": next(_public_ids), "created_at": before} for one in people],
    )
    ids = session.scalars(select(Subscriber.id).order_by(Subscriber.id.desc()).limit(number))
    same = {
        "newsletter_id": schedule.newsletter_id,
        "schedule_id": schedule.id,
        "start_article": 0,
        "confirmed_at": before,
    }
    session.execute(
        insert(Subscription),
        [same | {"public_id": next(_public_ids), "subscriber_id": one} for one in ids],
    )


def digest(session: Session, schedule: Schedule, **values: Any) -> Digest:
    """A digest of `schedule` that is being sent, due at NOW."""
    due = values.get("due_at", NOW)
    defaults: dict[str, Any] = {
        "slot": due.strftime("%Y-%m-%dT%H:%M"),
        "due_at": due,
        "status": DigestStatus.SENDING,
        "subject": "News of the day",
        "created_at": due,
        "built_at": due,
    }
    return _add(session, Digest(schedule_id=schedule.id, **(defaults | values)))


CONTENT: dict[str, Any] = {
    "language": "en",
    "from_name": "The Daily",
    "from_address": "daily@news.example",
    "reply_to": None,
    "subject": "News of the day",
    "html": '<p>News</p><a href="XKUNSUBSCRIBEZ">Leave</a>',
    "text": "News\n\nLeave: XKUNSUBSCRIBEZ\n",
    "marker": "XK",
}


def edition(
    session: Session, digest: Digest, articles: Sequence[Article] = (), **values: Any
) -> Edition:
    defaults = CONTENT | {"number": 1}
    row: Edition = _add(session, Edition(digest_id=digest.id, **(defaults | values)))
    session.add_all(
        EditionArticle(edition_id=row.id, article_id=one.id, position=position)
        for position, one in enumerate(articles, 1)
    )
    session.flush()
    return row


def delivery(
    session: Session, edition: Edition, subscription: Subscription, **values: Any
) -> Delivery:
    """A queued delivery of `edition` that may be sent at once."""
    defaults: dict[str, Any] = {
        "status": DeliveryStatus.QUEUED,
        "next_attempt_at": NOW,
        "created_at": NOW,
    }
    return _add(
        session,
        Delivery(
            digest_id=edition.digest_id,
            edition_id=edition.id,
            subscriber_id=subscription.subscriber_id,
            subscription_id=subscription.id,
            **(defaults | values),
        ),
    )


def delivered(
    session: Session,
    digest: Digest,
    subscriptions: Sequence[Subscription],
    statuses: Sequence[DeliveryStatus],
) -> Edition:
    """An edition of `digest`, with a delivery to each reader that is in this state."""
    found = edition(session, digest)
    for one, status in zip(subscriptions, statuses, strict=True):
        delivery(session, found, one, status=status)
    return found


def deliveries(session: Session, edition: Edition, schedule: Schedule, **values: Any) -> None:
    """A delivery of `edition` to every reader of `schedule`, in one statement."""
    defaults: dict[str, Any] = {
        "digest_id": edition.digest_id,
        "edition_id": edition.id,
        "status": DeliveryStatus.SENT,
        "attempts": 1,
        "in_doubt": 0,
        "next_attempt_at": NOW,
        "created_at": NOW,
    }
    fixed = {
        name: value
        if isinstance(value, ColumnElement)
        else literal(value, Delivery.__table__.c[name].type)
        for name, value in (defaults | values).items()
    }
    session.execute(
        insert(Delivery).from_select(
            ["subscriber_id", "subscription_id", *fixed],
            select(Subscription.subscriber_id, Subscription.id, *fixed.values()).where(
                Subscription.schedule_id == schedule.id
            ),
        )
    )


def wording(session: Session, text: str = "Yes, send me the newsletter.", **values: Any) -> Wording:
    number = next(_names)
    defaults: dict[str, Any] = {"sha256": f"{number:064x}", "language": "en"}
    return _add(session, Wording(text=text, **(defaults | values)))


def signup(
    session: Session,
    keys: Keys,
    schedule: Schedule,
    address: str = "newcomer@example.com",
    **values: Any,
) -> Signup:
    """A sign-up for `schedule` that awaits confirmation for a week."""
    defaults = _person(keys, address) | {
        "public_id": next(_public_ids),
        "language": "en",
        "ip": "192.0.2.7",
        "user_agent": "Browser/1",
        "source": "/subscribe",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
    }
    row: Signup = _add(session, Signup(**(defaults | values)))
    session.add(
        SignupChoice(
            signup_id=row.id,
            newsletter_id=schedule.newsletter_id,
            schedule_id=schedule.id,
            wording_id=wording(session).id,
        )
    )
    session.flush()
    return row


def notice(
    session: Session, keys: Keys, address: str = "newcomer@example.com", **values: Any
) -> Notice:
    """A queued confirmation that may be sent at once."""
    parsed = parse(address)
    defaults = CONTENT | {
        "kind": NoticeKind.CONFIRMATION,
        "address": parsed.typed,
        "key_hash": keys.key_hash(parsed.key),
        "rate_key": rate_key(parsed),
        "status": DeliveryStatus.QUEUED,
        "next_attempt_at": NOW,
        "created_at": NOW,
    }
    return _add(session, Notice(**(defaults | values)))


def consent_event(
    session: Session, keys: Keys, address: str = "reader@example.com", **values: Any
) -> ConsentEvent:
    parsed = parse(address)
    defaults: dict[str, Any] = {
        "kind": ConsentKind.CONFIRMED,
        "at": NOW,
        "address": parsed.typed,
        "key_hash": keys.key_hash(parsed.key),
        "source": "/confirm",
    }
    return _add(session, ConsentEvent(**(defaults | values)))


def suppression(
    session: Session, keys: Keys, address: str = "reader@example.com", **values: Any
) -> Suppression:
    """A suppression of `address` everywhere."""
    parsed = parse(address)
    defaults: dict[str, Any] = {
        "key_hash": keys.key_hash(parsed.key),
        "address": parsed.typed,
        "reason": SuppressionReason.STAFF,
        "created_at": NOW,
    }
    return _add(session, Suppression(**(defaults | values)))


def whole_person(
    session: Session, keys: Keys, schedule: Schedule, address: str, **values: Any
) -> Subscriber:
    """A subscriber with something in every table that holds people."""
    client = {"ip": "192.0.2.77", "user_agent": "Browser/7"}
    person = subscriber(session, keys, address, language=None, **values)
    place = subscription(session, person, schedule)
    number = session.scalar(select(func.count()).select_from(Digest)) or 0
    slot = digest(session, schedule, slot=f"2026-01-{number + 1:02}T07:00", subject="77")
    for_them = edition(session, slot)
    sent = delivery(
        session, for_them, place, status=DeliveryStatus.FAILED, outcome_at=NOW, reply="550 5.1.1"
    )
    request = signup(session, keys, schedule, address, confirmed_at=NOW, name=person.name, **client)
    sentence = wording(session, "8888")
    for kind in ConsentKind:
        consent_event(
            session, keys, address, kind=kind, newsletter_id=schedule.newsletter_id,
            schedule_id=schedule.id, wording_id=sentence.id, signup_public_id=request.public_id,
            publisher="9999", privacy_url="https://news.example/privacy", **client,
        )  # fmt: skip
    for status in DeliveryStatus:
        notice(session, keys, address, status=status, subject="66", signup_id=request.id)
    newsletters = (schedule.newsletter_id, None)
    for newsletter_id, reason in zip(newsletters, ("not_me", "staff"), strict=True):
        suppression(
            session, keys, address, newsletter_id=newsletter_id, reason=SuppressionReason(reason),
            detail="55",
        )  # fmt: skip
    bounced = BounceEvent(
        delivery_id=sent.id, digest_id=slot.id, key_hash=person.key_hash, domain="reader.example",
        kind=EvidenceKind.HARD, reason="user_unknown", diagnostic="550 5.1.1", source="smtp",
        mailed_at=NOW, reported_at=NOW, recorded_at=NOW,
    )  # fmt: skip
    _add(session, bounced)
    _add(session, JournalEntry(at=NOW, kind=JournalKind.RETURNED, key_hash=person.key_hash))
    return person


def review(session: Session, schedule: Schedule, days: int = 0, **values: Any) -> Review:
    """A review of the digest at 07:00, on NOW's day or so many days later."""
    due = NOW.replace(hour=7) + timedelta(days=days)
    defaults: dict[str, Any] = {
        "slot": due.strftime("%Y-%m-%dT%H:%M"),
        "due_at": due,
        "expires_at": due + timedelta(hours=6),
        "created_at": NOW,
    }
    return _add(session, Review(schedule_id=schedule.id, **(defaults | values)))


def worker(session: Session, role: WorkerRole = WorkerRole.SENDER, **values: Any) -> Worker:
    defaults: dict[str, Any] = {
        "host": "host.example",
        "pid": 4321,
        "started_at": NOW,
        "heartbeat_at": NOW,
    }
    return _add(session, Worker(role=role, **(defaults | values)))
