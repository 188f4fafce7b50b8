"""The pool of daemon threads: what it returns, and that it holds up nothing."""

import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from mailer.daemon_pool import DaemonThreadPool


def test_calls_run_beside_one_another_in_no_more_threads_than_allowed() -> None:
    both = threading.Barrier(2)
    pool = DaemonThreadPool(2, "calls")

    def meet(number: int) -> tuple[int, str]:
        both.wait(120)
        return number, threading.current_thread().name

    met = list(pool.map(meet, range(6)))
    pool.shutdown()
    assert [number for number, _ in met] == list(range(6))
    assert {name for _, name in met} == {"calls-0", "calls-1"}
    assert pool.join(0)
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(print)


def test_a_call_that_fails_fails_alone_and_what_is_cancelled_is_not_begun() -> None:
    begun, go_on = threading.Event(), threading.Event()
    pool = DaemonThreadPool(1, "calls")
    failing = pool.submit(int, "no number")
    running = pool.submit(lambda: begun.set() or go_on.wait(120))
    with pytest.raises(ValueError, match="no number"):
        failing.result(60)
    assert begun.wait(120)
    waiting = pool.submit(print, "never")
    pool.shutdown(wait=False, cancel_futures=True)
    assert not pool.join(0.01)
    go_on.set()
    assert running.result(60)
    with pytest.raises(CancelledError):
        waiting.result(60)
    assert pool.join(60)


def test_the_process_ends_although_a_call_does_not() -> None:
    program = """if True:
        import threading
        from mailer.daemon_pool import DaemonThreadPool
        begun = threading.Event()
        DaemonThreadPool(1, "calls").submit(lambda: (begun.set(), threading.Event().wait()))
        begun.wait()
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
