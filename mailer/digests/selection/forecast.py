"""Estimates how many waiting articles expire if a newsletter takes in more than it sends.

Pure. Only informs staff; never used by a build.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from mailer.digests.schedules.schedule_options import ScheduleLimits


def number_expiring(
    waiting: Iterable[datetime],
    intake: int,
    coming: Iterable[datetime],
    max_age: timedelta,
    limits: ScheduleLimits,
) -> int:
    """Estimate how many articles will be too old before a digest has a place for them.

    As in a build, what waited goes first, the newest of it first, and then what is new.

    Args:
        waiting: when each of those that wait was published (aware).
        intake: how many new articles are expected at each slot.
        coming: the slots to come, in order; an article that none of them sends is too old as well.
    """
    # Newest first; those that come in later are there to take places, and are not counted.
    pool = [(published, True) for published in sorted(waiting, reverse=True)]
    expired = 0
    for due_at in coming:
        fresh = [article for article in pool if article[0] > due_at - max_age]
        expired += _counted(pool) - _counted(fresh)
        pool = fresh
        if not _counted(pool):
            return expired
        new = [(due_at, False)] * intake
        if len(pool) + len(new) >= limits.min_articles:
            room = max(0, limits.max_articles - len(pool))
            pool, new = pool[limits.max_articles :], new[room:]
        pool = new + pool
    return expired + _counted(pool)


def _counted(pool: Iterable[tuple[datetime, bool]]) -> int:
    return sum(counts for _, counts in pool)
