"""Hands documents to a child process, and turns the death of the child into an error of the document.

One child reads for all threads, one document after the other, so a hostile document delays the others by its
limits at most. Never looks into a document.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import IO, Final, Self, cast

from mailer.errors import FeedUnreadable
from mailer.feeds.reading.entry import Document
from mailer.feeds.sandbox.limits import OUT_OF_MEMORY, ChildFailure, ChildLimits

log = logging.getLogger(__name__)

_CHILD: Final = "mailer.feeds.sandbox.child"
_SECRET: Final = ("MAILER_", "PG")
"""Prefixes of environment variables with keys and passwords: ours, and those of PostgreSQL's library."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class ReadingStopped(BaseException):
    """The reader was stopped. Not an `Exception`: that would count as the document's failure."""


class _ChildError(Exception):
    """Carries the child's traceback into the log."""


class FeedReader:
    """Reads feeds and pages in a child process, which starts with the first document and ends when idle.

    As a context manager it is stopped at the end. All methods may be called from any thread. Those that read
    take the arguments of the functions that the child calls.
    """

    def __init__(self, limits: ChildLimits | None = None) -> None:
        self._limits = limits or ChildLimits()
        self._turn = threading.Lock()
        self._state = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._idle: threading.Timer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Abandon the document being read, and read no more; return without waiting.

        A thread that waits for a document gets `ReadingStopped`. May be called several times.
        """
        with self._state:
            self._is_stopped = True
            process = self._process
        if process is not None:
            process.kill()
        # If no thread reads, none would clean up after the child.
        if self._turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._turn.release()

    def parse(
        self, body: bytes, *, content_type: str = "", base_url: str | None = None, now: datetime
    ) -> Document:
        """Parse a feed, as `mailer.feeds.reading.parse.parse` does.

        Raises:
            FeedUnreadable: it is no feed, or reading it exceeded the limits.
            ReadingStopped: the reader was stopped.
        """
        document = self._read(
            "parse", body=body, content_type=content_type, base_url=base_url, now=now
        )
        return cast(Document, document)

    def page_image(self, page: str, base: str) -> str | None:
        """Find a page's picture, as `mailer.feeds.reading.pictures.page_image` does.

        Raises:
            FeedUnreadable: reading it exceeded the limits.
            ReadingStopped: the reader was stopped.
        """
        return cast(str | None, self._read("page_image", page=page, base=base))

    def feeds_of(self, page: str, url: str) -> list[str]:
        """Find the feeds that a page names, as `mailer.feeds.reading.autodiscovery.feeds_of` does.

        Raises:
            FeedUnreadable: reading it exceeded the limits.
            ReadingStopped: the reader was stopped.
        """
        return cast(list[str], self._read("feeds_of", page=page, url=url))

    def _read(self, name: str, **arguments: object) -> object:
        with self._turn:
            process = self._started()
            expired = threading.Event()

            def kill() -> None:
                expired.set()
                process.kill()

            watchdog = _timer(self._limits.seconds, kill)
            try:
                pipe = _pipe(process.stdin)
                pickle.dump((name, arguments), pipe)
                pipe.flush()
                # The answer was made by our own code.
                answer = pickle.load(_pipe(process.stdout))  # noqa: S301
            except (OSError, EOFError, pickle.UnpicklingError):
                self._end()
                if self._is_stopped:
                    raise ReadingStopped from None
                raise self._failure(process.returncode, expired.is_set()) from None
            except BaseException:
                # Such as Ctrl-C: the answer to this document must not be mistaken for the next one's.
                self._end()
                raise
            finally:
                watchdog.cancel()
            self._idle = _timer(self._limits.idle_seconds, self._end_if_idle)
        if isinstance(answer, ChildFailure):
            log.error("a document could not be read", exc_info=_ChildError(answer.traceback))
            raise FeedUnreadable(
                "the mailer has a defect with this document; find the cause in the log, and report it"
            )
        if isinstance(answer, FeedUnreadable):
            raise answer
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is not None and self._process.poll() is not None:
            self._end()
        with self._state:
            if self._is_stopped:
                raise ReadingStopped
            if self._process is None:
                try:
                    self._process = _start()
                except OSError as error:
                    raise FeedUnreadable(
                        f"no process can be started to read it ({error.strerror}); "
                        "check that this machine has free memory and allows new processes"
                    ) from error
                # The pipe is flushed with the first document; a child that cannot start fails there.
                pickle.dump(self._limits, _pipe(self._process.stdin))
            return self._process

    def _end_if_idle(self) -> None:
        # The thread that set the timer may still have the turn.
        with self._turn:
            # Another document was read meanwhile, if this is the timer of an earlier one.
            if self._idle is threading.current_thread():
                self._end()

    def _end(self) -> None:
        """End the child, if there is one. The calling thread must have the turn."""
        if self._idle is not None:
            self._idle.cancel()
        with self._state:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            # What the child did not read cannot be written any more.
            with suppress(OSError):
                _pipe(pipe).close()

    def _failure(self, status: int, is_late: bool) -> FeedUnreadable:
        limits = self._limits
        if is_late:
            took = f"longer than {limits.seconds:g} s"
        elif status == -signal.SIGXCPU:
            took = f"more than {limits.cpu_seconds} s of CPU time"
        elif status == OUT_OF_MEMORY:
            took = f"more than {limits.memory // 1_000_000} MB of memory"
        elif status < 0:
            return FeedUnreadable(
                "the document brought down the process that read it "
                f"({signal.Signals(-status).name}); tell the people who run the site"
            )
        else:
            return FeedUnreadable(
                f"the process that reads feeds ended with status {status}; "
                f"`{sys.executable} -m {_CHILD}` may tell why"
            )
        return FeedUnreadable(
            f"reading the document took {took}, so it was given up; tell the people who run the site"
        )


def _start() -> subprocess.Popen[bytes]:
    """Start a child that finds the same modules as this process, but gets none of its secrets."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_SECRET)
    }
    environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    # Ctrl-C and SIGTERM reach the whole process group, but the parent decides when the child ends. A child
    # keeps the signals blocked that its parent has blocked.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return subprocess.Popen(  # noqa: S603
            # Without -P a file in the working directory could replace one of Python's modules.
            [sys.executable, "-P", "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "Popen was asked for it"  # noqa: S101
    return pipe


def _timer(seconds: float, act: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.name, timer.daemon = "feed reader", True
    timer.start()
    return timer
