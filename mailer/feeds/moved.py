"""What staff decides about a feed that waits for them: where it is, and whether what is held is wanted.

In the caller's transaction; nothing is fetched.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from mailer.errors import Refused
from mailer.feeds import fetch_state, held_items
from mailer.feeds.newsletter_feeds import hand_out
from mailer.feeds.store import Arrived, store_held
from mailer.models import Feed
from mailer.text.english import command


def accept(session: Session, feed: Feed, *, now: datetime) -> Arrived:
    """Take what is held, and let the feed be where it has moved on another host.

    Known articles get their new addresses and guids, the others are news.

    Raises:
        Refused: nothing is held and the feed has not moved, or another feed is there already.
    """
    moved_url = feed.moved_url
    if moved_url is None:
        _need_held(feed)
    elif fetch_state.is_taken(session, moved_url):
        raise Refused(
            f"{moved_url} is already a feed here; `{command('feed', 'remove', feed.url)}` "
            "once that one has the same newsletters"
        )
    else:
        fetch_state.move(session, feed, moved_url)
    if feed.held_at is None:
        return Arrived(0, 0, 0)
    arrived = store_held(session, feed, now=now)
    hand_out(session, feed.id, backlog=False, now=now)
    return arrived


def discard(session: Session, feed: Feed, *, now: datetime) -> int:
    """Want none of what is held, for good; the number of pieces.

    Raises:
        Refused: nothing is held.
    """
    _need_held(feed)
    return held_items.discard(session, feed, now=now)


def _need_held(feed: Feed) -> None:
    if feed.held_at is None:
        raise Refused(f"nothing of {feed.url} is held; `mailer feed list` shows what is")
