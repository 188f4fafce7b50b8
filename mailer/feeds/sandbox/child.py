"""Runs in the child process: reads one document after the other, and is killed by the kernel at its limits.

Gets work from its parent on stdin, answers on stdout, and ends with stdin, so it never outlives its parent.
It may read files and open sockets: only its time, its memory and its answers are limited.
"""

import os
import pickle
import resource
import sys
import traceback
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any, Final

from mailer.errors import FeedUnreadable
from mailer.feeds.reading.autodiscovery import feeds_of
from mailer.feeds.reading.parse import parse
from mailer.feeds.reading.pictures import page_image
from mailer.feeds.sandbox.limits import OUT_OF_MEMORY, ChildFailure, ChildLimits

_WORK: Final[dict[str, Callable[..., Any]]] = {
    "parse": parse,
    "page_image": page_image,
    "feeds_of": feeds_of,
}

_TOO_LARGE: Final = (
    "the document grew to more than {} MB when it was read, so it was given up; "
    "tell the people who run the site"
)


def main() -> None:
    """Read documents until stdin ends."""
    work, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        # Only the parent writes to stdin.
        limits: ChildLimits = pickle.load(work)  # noqa: S301
        _limit_memory(limits)
        while True:
            name, arguments = pickle.load(work)  # noqa: S301
            _limit_cpu(limits)
            answer = pickle.dumps(_answer(name, arguments))
            if len(answer) > limits.answer:
                answer = pickle.dumps(FeedUnreadable(_TOO_LARGE.format(limits.answer // 1_000_000)))
            answers.write(answer)
            answers.flush()
    except MemoryError:
        # The memory left is fragmented; a new process starts with all of it.
        os._exit(OUT_OF_MEMORY)
    except (EOFError, BrokenPipeError):
        os._exit(0)


def _answer(name: str, arguments: dict[str, Any]) -> object:
    try:
        return _WORK[name](**arguments)
    except FeedUnreadable as error:
        return error
    except MemoryError:
        raise
    except Exception:
        return ChildFailure(traceback.format_exc())


def _limit_memory(limits: ChildLimits) -> None:
    _limit(resource.RLIMIT_CORE, 0)
    # Other systems do not say how much memory a process has.
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + limits.memory)


def _limit_cpu(limits: ChildLimits) -> None:
    """Let the kernel end this process (SIGXCPU) when the next document has taken its share."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, ceil(used.ru_utime + used.ru_stime) + limits.cpu_seconds)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    # A parent may have set a lower limit.
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
