"""Runs calls in daemon threads, which do not keep the process alive as those of the standard library do.

Calls that still run when the process ends are cut off. Never give it work that must not stop half-way.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreadPool(Executor):
    """Runs calls in daemon threads, each started when there is work for it.

    Args:
        most: the largest number of threads.
        name: the prefix of their names.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._guard = Lock()
        self._is_closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in one of the threads.

        Raises:
            RuntimeError: the pool was shut down.
        """
        future: Future[T] = Future()
        with self._guard:
            if self._is_closed:
                raise RuntimeError("the pool was shut down; it takes no more calls")
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if len(self._threads) < self._most:
                name = f"{self._name}-{len(self._threads)}"
                thread = Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and end the threads when the submitted calls have returned.

        Args:
            wait: whether to return only then.
            cancel_futures: cancel the calls that no thread has begun.
        """
        with self._guard:
            self._is_closed = True
            while cancel_futures:
                try:
                    call = self._calls.get_nowait()
                except Empty:
                    break
                if call is not None:
                    call[0].cancel()
            for _ in self._threads:
                self._calls.put(None)
        if wait:
            self.join()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until all threads have ended, after `shutdown`.

        Args:
            seconds: the longest wait; None for no limit.

        Returns:
            Whether all have ended.
        """
        until = None if seconds is None else monotonic() + seconds
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, act = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = act()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            # Free what the call held before waiting for the next one.
            del call, future, act
