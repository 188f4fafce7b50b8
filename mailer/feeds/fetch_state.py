"""Updates a feed's own row after a fetch: when to fetch again, where it is now, what staff are told.

Works in the caller's transaction. Never touches entries and articles.
"""

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.clock import format_instant
from mailer.db import explain
from mailer.errors import FeedBusy, FeedError, FeedGone
from mailer.feeds.canonical import is_same_host
from mailer.feeds.reading.entry import Document
from mailer.models import Feed, Newsletter, NewsletterFeed
from mailer.notices.alert import Alerts, on_feed
from mailer.text.english import command

if TYPE_CHECKING:
    from mailer.feeds.http.fetch import Fetched

log = logging.getLogger(__name__)

ALERT_AFTER: Final = timedelta(days=1)
"""How long a feed fails before staff are told: most recover by themselves."""
MOVED_AGAIN_AFTER: Final = timedelta(days=1)
"""How soon staff are told of yet another new address: a server may name another one each time."""
CLAIM: Final = timedelta(minutes=2)
"""How long a scheduler has a feed to itself: longer than a fetch, but not long if it was killed."""

_LONGEST_VALUE: Final = 100
_LONGEST_PAUSE: Final = timedelta(hours=6)
_LONGEST_ASKED: Final = timedelta(days=1)
"""If a server asks for more, it may be a mistake, and articles would be missed."""


def pause_after(failures: int, interval: timedelta) -> timedelta:
    """Return how long to wait after so many failures in a row: twice as long each time, up to six hours."""
    return max(interval, min(interval * (1 << min(failures, 10)), _LONGEST_PAUSE))


def asked_pause(retry_after: str, now: datetime) -> timedelta:
    """Return for how long a server asks not to be asked (RFC 9110 section 10.2.3), up to a day.

    Args:
        retry_after: seconds or a date; anything else counts as nothing.
    """
    value = retry_after[:_LONGEST_VALUE].strip()
    try:
        if value.isdigit():
            asked = timedelta(seconds=int(value))
        else:
            date = parsedate_to_datetime(value)
            asked = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return timedelta()
    return max(timedelta(), min(asked, _LONGEST_ASKED))


def is_free(now: datetime) -> ColumnElement[bool]:
    """Tell in SQL whether no scheduler is fetching the feed."""
    # A claim that ends later than any can was made before the clock was set back, and not only by a
    # scheduler whose clock is a little ahead.
    return or_(
        Feed.fetching_until.is_(None),
        Feed.fetching_until <= now,
        Feed.fetching_until > now + 2 * CLAIM,
    )


def is_ahead(now: datetime) -> ColumnElement[bool]:
    """Tell in SQL whether the clock was set back after the last fetch, by more than clocks differ.

    Then all times of the feed are in the future, and waiting for them could take years.
    """
    return Feed.last_fetched_at > now + CLAIM


def claim(session: Session, feed_id: int, *, chosen_at: datetime, now: datetime) -> Feed | None:
    """Claim a feed, so that no other scheduler fetches it as well, and return its row.

    Args:
        chosen_at: when it was found to be due.

    Returns:
        None if another scheduler is fetching it, or has done so since it was chosen.
    """
    return session.scalars(
        update(Feed)
        .where(
            Feed.id == feed_id,
            is_free(now),
            or_(Feed.last_fetched_at.is_(None), Feed.last_fetched_at < chosen_at, is_ahead(now)),
        )
        .values(fetching_until=now + CLAIM)
        .returning(Feed)
    ).one_or_none()


def give_back(session: Session, feed_ids: Collection[int]) -> None:
    """Undo the claim of feeds that are not fetched after all."""
    session.execute(update(Feed).where(Feed.id.in_(feed_ids)).values(fetching_until=None))


def as_failure(feed_id: int, error: Exception) -> FeedError:
    """Log an error of a feed, and return the one to record.

    Raises:
        Exception: `error` itself if the database cannot be used: that is no feed's fault.
    """
    if isinstance(error, FeedError):
        log.warning("feed %d could not be refreshed: %s", feed_id, error)
        return error
    if explain(error) is not None:
        raise error
    log.error("feed %d could not be refreshed", feed_id, exc_info=error)
    return FeedError(
        f"the mailer has a defect here ({type(error).__name__}); "
        "find the cause in the log at that time, and report it"
    )


def failed(feed: Feed, error: FeedError, *, now: datetime, interval: timedelta) -> None:
    """Record a failed fetch: the feed keeps what it has, and is fetched less and less often."""
    pause = pause_after(feed.failures + 1, interval)
    if isinstance(error, FeedBusy):
        asked = asked_pause(error.retry_after, now)
        feed.retry_at = now + asked
        pause = max(pause, asked)
    feed.error = str(error)
    if isinstance(error, FeedGone):
        feed.gone_at = feed.gone_at or now
        feed.error += (
            ". It is not fetched by itself any more; `mailer feed refresh` tries again, "
            "`mailer feed remove` takes it out"
        )
    feed.fetching_until = None
    feed.failures += 1
    feed.failing_since = feed.failing_since or now
    feed.last_fetched_at = now
    feed.next_fetch_at = now + pause


def unreadable(session: Session, feed_id: int, *, now: datetime, interval: timedelta) -> str:
    """Record that the feed's row has a value that cannot be read, and return the error.

    The row is written without being read.
    """
    error = "a value in its row cannot be read; correct it in the database"
    session.execute(
        update(Feed)
        .where(Feed.id == feed_id)
        .values(
            error=error,
            failing_since=func.coalesce(Feed.failing_since, now),
            last_fetched_at=now,
            next_fetch_at=now + interval,
            fetching_until=None,
        )
    )
    return error


def succeeded(
    feed: Feed,
    fetched: "Fetched",
    document: Document | None,
    *,
    is_taken: bool,
    now: datetime,
    interval: timedelta,
) -> tuple[str, ...]:
    """Record a successful fetch, and return warnings.

    Args:
        document: what was read; None if nothing has changed.
        is_taken: there is a feed at the address to which a permanent redirect led.
    """
    feed.failures, feed.error, feed.failing_since, feed.alerted_at = 0, None, None, None
    feed.gone_at = feed.retry_at = feed.fetching_until = None
    feed.last_fetched_at = feed.last_success_at = now
    feed.next_fetch_at = now + interval
    if document is None:
        return ()
    feed.first_fetched_at = feed.first_fetched_at or now
    feed.title = document.title or feed.title
    # With the validators of half a document a server would say that nothing is new, and the other half would
    # never come. With those of a held one, a site that is back at its old address would not be noticed.
    is_settled = document.whole and feed.held_at is None
    feed.etag = fetched.etag if is_settled else None
    feed.last_modified = fetched.last_modified if is_settled else None
    feed.validators_url = fetched.url
    warning = _follow(feed, fetched.permanent_url, is_taken, now)
    return document.warnings if warning is None else (*document.warnings, warning)


def alert_once(
    session: Session, feed: Feed, alerts: Alerts | None, *, was_held: bool, now: datetime
) -> None:
    """Tell staff once that the feed is gone, has been failing for a day, has moved, or is held.

    Args:
        alerts: None tells nobody.
    """
    alert = due_alert(feed, was_held=was_held, now=now)
    if alerts is None or alert is None:
        return
    newsletter = session.scalars(
        select(Newsletter)
        .join(NewsletterFeed, NewsletterFeed.newsletter_id == Newsletter.id)
        .where(NewsletterFeed.feed_id == feed.id)
        .order_by(Newsletter.id)
        .limit(1)
    ).one_or_none()
    if newsletter is None:
        return
    if _is_lost(feed, now):
        feed.alerted_at = now
    reason, commands = alert
    title, url = feed.title, feed.url
    on_feed(
        session, alerts, newsletter, title=title, url=url, reason=reason, commands=commands, now=now
    )


def move(feed: Feed, url: str) -> None:
    """Move a feed to a new address; it is still found by its former one.

    The permission to fetch from a private network was given for its old host only.
    """
    log.info("feed %d has moved from %s to %s", feed.id, feed.url, url)
    feed.former_url = feed.former_url or feed.url
    feed.allow_private = feed.allow_private and is_same_host(url, feed.url)
    feed.url, feed.moved_url = url, None


def due_alert(feed: Feed, *, was_held: bool, now: datetime) -> tuple[str, list[str]] | None:
    """Return what staff are to be told now, and the commands that they may type; None if nothing."""

    def commands(*verbs: str) -> list[str]:
        return [command("feed", verb, feed.url) for verb in verbs]

    if feed.held_at is not None and not was_held:
        reason = (
            "most of its articles look new, but are known under other addresses: the site seems to "
            "have moved. Nothing from it is sent until you decide: accept, to send only what is "
            "really new, or discard"
        )
        if feed.moved_url is not None:
            reason += f". If you accept, it is also fetched at {feed.moved_url}, on another host"
        return reason, commands("accept", "discard")
    if feed.alerted_at is None and feed.failing_since is not None and _is_lost(feed, now):
        reason = (
            f"it has not been readable since {format_instant(feed.failing_since)}: {feed.error}"
        )
        if feed.gone_at is not None:
            return reason, commands("refresh", "remove")
        reason += (
            ". The mailer keeps trying; check whether its address opens in a browser, and "
            "remove it only if it will not come back"
        )
        return reason, [*commands("refresh"), command("feed", "list"), *commands("remove")]
    if feed.moved_url is not None and feed.moved_at == now:
        reason = (
            f"its server says that it has moved permanently to another host: {feed.moved_url}. It is "
            "still fetched from its old address; accept the new one if it is right, or remove the feed"
        )
        return reason, commands("accept", "remove")
    return None


def _is_lost(feed: Feed, now: datetime) -> bool:
    """Tell whether the feed is gone, or has been failing for a day."""
    if feed.failing_since is None:
        return False
    return feed.gone_at is not None or now - feed.failing_since >= ALERT_AFTER


def _follow(feed: Feed, permanent_url: str | None, is_taken: bool, now: datetime) -> str | None:
    """Follow a permanent redirect on the same host; only staff may follow one to another host.

    Returns:
        A warning, or None if there was no such redirect.
    """
    if permanent_url is None or permanent_url == feed.url:
        feed.moved_url = None
        return None
    if is_taken:
        feed.moved_url = None
        return (
            f"it has moved to {permanent_url}, which is already a feed here; run "
            f"`{command('feed', 'remove', feed.url)}` once that feed has the same newsletters"
        )
    if is_same_host(permanent_url, feed.url):
        move(feed, permanent_url)
        return f"it has moved permanently to {permanent_url}, and is fetched there from now on"
    may_tell = feed.moved_at is None or now - feed.moved_at >= MOVED_AGAIN_AFTER
    if permanent_url != feed.moved_url and may_tell:
        feed.moved_url, feed.moved_at = permanent_url, now
    warning = f"its server says that it has moved permanently to another host: {permanent_url}"
    if permanent_url == feed.moved_url:
        accept = command("feed", "accept", feed.url)
        warning += f"; run `{accept}` to fetch it there, until then its old address is used"
    return warning
