"""What staff decides about a fetch that is held: it is the same pieces, or none of it is wanted.

In the caller's transaction; nothing is fetched.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from mailer.errors import Refused
from mailer.feeds import hold
from mailer.feeds.arrival import Arrived, store_held
from mailer.feeds.attach import hand_out
from mailer.models import Feed


def accept(session: Session, feed: Feed, *, now: datetime) -> Arrived:
    """Take what is held: known articles get their new addresses and guids, the others are news.

    Raises:
        Refused: nothing is held.
    """
    _need_held(feed)
    arrived = store_held(session, feed, now=now)
    hand_out(session, feed.id, backlog=False, now=now)
    return arrived


def discard(session: Session, feed: Feed, *, now: datetime) -> int:
    """Want none of what is held, for good; the number of pieces.

    Raises:
        Refused: nothing is held.
    """
    _need_held(feed)
    return hold.discard(session, feed, now=now)


def _need_held(feed: Feed) -> None:
    if feed.held_at is None:
        raise Refused(f"nothing of {feed.url} is held; `mailer feed list` shows what is")
