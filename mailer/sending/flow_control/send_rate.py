"""Computes how many mails the rate allows: what is in a token bucket, and when there is a token again.

Pure. The bucket's row is in `token_bucket`.
"""

from mailer.rate import Rate


def burst(rate: Rate) -> float:
    """Return how many mails may go at once: one second's worth, and at least one."""
    return max(1.0, rate.per_second)


def most_to_claim(connections: int, rate: Rate) -> int:
    """Return how many mails one worker may hold: two for each connection, but one second's worth at most.

    What is claimed is paid for and may go out all at once after a pause, so more would break the rate.
    """
    return min(2 * connections, int(burst(rate)))


def filled(tokens: float, elapsed: float, rate: Rate) -> float:
    """Return what is in a bucket that held `tokens` so many seconds ago.

    If the clock was set back, `elapsed` is negative and no time counts as passed.
    """
    return min(burst(rate), tokens + max(0.0, elapsed) * rate.per_second)


def until_next(tokens: float, rate: Rate) -> float:
    """Return the seconds until a bucket with `tokens` holds a whole one."""
    return max(0.0, (1.0 - tokens) / rate.per_second)
