"""A worker that notes where its sending thread spends its time, by area of the code.

Run as `python sampled.py REPORT`, with a worker's settings; SIGTERM ends it, and then the report is written.
The send loop runs in the main thread. Two alarms interrupt it every few milliseconds, one by the clock and
one by the CPU time of the process, and each notes in which area it is: the innermost function on the stack
that an area names. Alarms that went off during one long call all count for that call. An alarm by CPU time
while the sending thread waits means that another thread computed. For the other threads only the clock's
alarms count. What was before the first mail was composed, and after the last, is left out.
"""

import os
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import FrameType
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailer.app import open_app
from mailer.settings import load
from mailer.worker import make_sender

INTERVAL_SECONDS = 0.002
_ALARMS = {signal.SIGALRM: signal.ITIMER_REAL, signal.SIGPROF: signal.ITIMER_PROF}
COMPOSING = "composing"
"""The first and the last look at this bound what is counted."""

AREAS = (
    ("/mailer/sending/smtp/connection", "sockets"),
    ("/mailer/sending/smtp/", "conversation"),
    ("/mailer/sending/composer", COMPOSING),
    ("/mailer/sending/compiled_content", COMPOSING),
    ("/mailer/message/", COMPOSING),
    ("/mailer/tokens", COMPOSING),
    ("/mailer/sending/flow_control/", "flow control"),
    ("/mailer/sending/send_loop", "the loop"),
    ("/mailer/sending/committer", "commits: committer"),
    ("/mailer/sending/", "owner of what is in flight"),
    ("/mailer/ledger/", "commits: ledger"),
    ("/mailer/db/", "commits: mailer.db, with all of SQLite's work"),
    ("/psycopg/connection.py:wait", "commits: waiting for the server"),
    ("/psycopg", "commits: driver"),
    ("/sqlalchemy/", "commits: SQLAlchemy"),
    ("/selectors.py", "waiting for sockets"),
    ("/threading.py", "waiting for a thread"),
    ("/queue.py", "waiting for a thread"),
)
"""A part of a path, with a function if only that is meant, and its area. The first that fits counts."""


class Look(NamedTuple):
    """Where the sending thread was when so many alarms went off, and for the clock's the other threads."""

    is_of_clock: bool
    alarms: int
    area: str
    others: dict[str, str]


def area_of(frame: FrameType | None) -> str:
    """The area of the innermost function that has one."""
    while frame is not None:
        place = f"{frame.f_code.co_filename}:{frame.f_code.co_name}"
        for part, area in AREAS:
            path, _, function = part.partition(":")
            if path in place and (not function or place.endswith(f":{function}")):
                return area
        frame = frame.f_back
    return "other"


class Sampler:
    """Looks where the threads are, each time that an alarm goes off."""

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._alarms: dict[int, int] = {}

    def start(self) -> None:
        for number, timer in _ALARMS.items():
            self._alarms[number] = self._count(number)
            signal.signal(number, self._look)
            signal.setitimer(timer, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def stop(self) -> None:
        for timer in _ALARMS.values():
            signal.setitimer(timer, 0)

    def _count(self, number: int) -> int:
        now = time.perf_counter() if number == signal.SIGALRM else time.process_time()
        return int(now / INTERVAL_SECONDS)

    def _look(self, number: int, frame: FrameType | None) -> None:
        count = self._count(number)
        alarms, self._alarms[number] = count - self._alarms[number], count
        others = {}
        if is_of_clock := number == signal.SIGALRM:
            frames = sys._current_frames()
            others = {
                thread.name: area_of(frames.get(thread.ident or 0))
                for thread in threading.enumerate()
                if thread is not threading.main_thread()
            }
        self._looks.append(Look(is_of_clock, alarms, area_of(frame), others))

    def report(self) -> str:
        """The shares of each thread, largest first."""
        seen = [number for number, look in enumerate(self._looks) if look.area == COMPOSING]
        looks = self._looks[seen[0] : seen[-1] + 1] if seen else []
        threads: dict[str, Counter[str]] = defaultdict(Counter)
        by_cpu: Counter[str] = Counter()
        for look in looks:
            if look.is_of_clock:
                for thread, area in ("sending", look.area), *look.others.items():
                    threads[thread][area] += look.alarms
            else:
                by_cpu[look.area] += look.alarms
        clock, cpu = threads["sending"].total(), by_cpu.total()
        seconds, computed = clock * INTERVAL_SECONDS, cpu * INTERVAL_SECONDS
        lines = [
            f"{len(looks)} looks in {seconds:.1f} s, of which the process computed {computed:.1f}"
        ]
        for thread, shares in threads.items():
            is_sending = thread == "sending"
            # One that was in the same place all the time only waited.
            if len(shares) > 1:
                lines.append(f"{thread + ' thread':48} clock{'    CPU' if is_sending else ''}")
                for area, alarms in shares.most_common():
                    of_cpu = f"{by_cpu[area] / cpu:7.1%}" if is_sending else ""
                    lines.append(f"  {area:45} {alarms / clock:6.1%}{of_cpu}")
        return "\n".join(lines) + "\n"


def main() -> None:
    """Send until SIGTERM, and write the report."""
    with open_app(load(os.environ, None)) as app:
        sender, stop, sampler = make_sender(app), threading.Event(), Sampler()

        def end(*_: object) -> None:
            stop.set()
            sender.wake()

        signal.signal(signal.SIGTERM, end)
        sampler.start()
        sender.run(stop)
        sampler.stop()
    Path(sys.argv[1]).write_text(sampler.report())


if __name__ == "__main__":
    main()
