"""Plays a week of two newspapers through, from the command line and the readers' side, on a quick clock.

`make week` runs it: on SQLite with one process, and on PostgreSQL with two web roles, two schedulers and two
workers. The clock of commands and daemons is set from one moment of the week to the next. What readers got
is judged from the files of the received mails, against a model in plain Python and against `digest plan`; a
violation is printed when it is found, and the exit status is 1.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socket import socket

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.simulation import audit
from tests.simulation.browser import NoSuchForm
from tests.simulation.daemons import Daemons
from tests.simulation.inbox import Inbox
from tests.simulation.model import Model
from tests.simulation.people import STAFF
from tests.simulation.program import Clock, Program, WeekStopped
from tests.simulation.relay import Relay
from tests.simulation.setup import BEGINS, LANGUAGES, TAKES, ZONES, set_up
from tests.simulation.simulation import CONNECTIONS
from tests.simulation.site import serving
from tests.simulation.week import Week
from tests.support import postgresql
from tests.support.receiver import receiver

PROCESSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "sqlite": ((),),
    "postgresql": (("web", "scheduler"), ("web",), ("scheduler", "worker"), ("worker",)),
}
PORTS = range(20000, 32000)
LOG_SHOWN = 4000
"""Characters of the daemons' logs that are printed where something is wrong."""


def live(engine: str, url: str, folder: Path, mails: Path) -> bool:
    """Play the week on an empty database; whether nothing was wrong."""
    begun = time.monotonic()
    inbox = Inbox(mails)
    relay = Relay(inbox)
    roles = PROCESSES[engine]
    ports = free_ports(sum(not those or "web" in those for those in roles))
    with receiver(relay.answer, relay.accept) as smtp, serving() as site:
        settings = {
            "database_url": url,
            "smtp_url": f"smtp://127.0.0.1:{smtp.port}",
            "smtp_connections": str(CONNECTIONS),
            "base_url": f"http://127.0.0.1:{ports[0]}",
            "staff_address": STAFF,
            "lease": "8s",
            "publisher": "The House of Two Papers",
        }
        program = Program(folder, settings, Clock(folder / "clock", BEGINS))
        daemons = Daemons(program, roles, ports)
        week = Week(program, daemons, relay, site, inbox, Model(site, TAKES, LANGUAGES), ZONES)
        try:
            set_up(week)
            with daemons:
                week.play()
                daemons.stop()
            audit.close(week)
        except (WeekStopped, NoSuchForm, ValueError) as stop:
            week.check(False, f"{type(stop).__name__}: {stop}")
        finally:
            program.shell.close()
        audit.show(week, engine)
        violations = week.model.violations
        if violations:
            print(daemons.log()[-LOG_SHOWN:])
    word = f"{len(violations)} violations" if violations else "nothing found"
    print(f"{engine}: {word}, in {time.monotonic() - begun:.0f} s; mails in {mails}", flush=True)
    return not violations


def free_ports(number: int) -> list[int]:
    """Ports that nobody has, and that nobody is given who asks the system for any."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == number:
            break
    return found


@contextmanager
def databases(engines: list[str], folder: Path) -> Iterator[dict[str, str]]:
    """An empty database for each engine, by its URL."""
    with ExitStack() as stack:
        urls = {"sqlite": f"sqlite:///{folder / 'sqlite' / 'mailer.db'}"}
        if "postgresql" in engines:
            urls["postgresql"] = stack.enter_context(postgresql.server()).create()
        yield urls


def main() -> int:
    """Play the week on each engine that is asked for; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the mails there")
    asked = parser.parse_args()
    engines = ["sqlite", "postgresql"] if asked.engine == "both" else [asked.engine]
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mailer-week-", dir=fast) as name:
        folder = Path(name)
        kept = folder / "mails" if asked.keep is None else asked.keep.resolve()
        found = []
        with databases(engines, folder) as urls:
            for engine in engines:
                (folder / engine).mkdir()
                found.append(live(engine, urls[engine], folder / engine, kept / engine))
        return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
