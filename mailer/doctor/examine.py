"""Runs checks at the same time. Never lets one of them stop the rest.

Each check returns its findings; what stops it becomes a finding too. No check waits for another, and none for
longer than `_ALL_SECONDS`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from time import monotonic
from typing import Final

from mailer.daemon_pool import DaemonThreadPool
from mailer.doctor.finding import CheckFinding, unchecked

log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_ALL_SECONDS: Final = 60.0
"""A relay that answers each step slowly is given up after this, and so is everything else."""


@dataclass(frozen=True)
class Check:
    """A check that can be run in a thread: what it is about in words, and how it is done."""

    check: str
    title: str
    run: Callable[[], Sequence[CheckFinding]]


OnDone = Callable[[str, int, int], None]
"""Called with the title of a check that is done, how many are, and how many there are."""


def run_checks(
    checks: Sequence[Check], on_done: OnDone, seconds: float = _ALL_SECONDS
) -> list[CheckFinding]:
    """Run these checks, and return their findings in their order."""
    # Threads of a daemon: one that hangs must not keep the command from ending.
    pool = DaemonThreadPool(_AT_ONCE, "doctor")
    futures = {pool.submit(_run, check): check for check in checks}
    pool.shutdown(wait=False)
    until = monotonic() + seconds
    open_futures = set(futures)
    while open_futures and (left := until - monotonic()) > 0:
        done, open_futures = wait(open_futures, left, FIRST_COMPLETED)
        for future in done:
            on_done(futures[future].title, len(futures) - len(open_futures), len(futures))
    return list(_results(futures))


def _results(futures: dict[Future[Sequence[CheckFinding]], Check]) -> Iterator[CheckFinding]:
    for future, check in futures.items():
        if future.done():
            yield from future.result()
        else:
            advice = "see what is slow, then run `mailer doctor` again"
            yield unchecked(check.check, check.title, "it took too long", advice)


def _run(check: Check) -> Sequence[CheckFinding]:
    try:
        return check.run()
    except Exception as error:
        # The edge of a thread: the other findings are worth more than this one's traceback.
        log.exception("the check %s failed", check.check)
        advice = "report this, with what the log says"
        return [unchecked(check.check, check.title, type(error).__name__, advice)]
