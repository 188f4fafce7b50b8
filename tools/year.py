"""Plays a year of one newspaper: it moves in, forgets people, loses its database, and moves to PostgreSQL.

`make year` runs it, on a quick clock and by one seed: a hundred readers of a weekly newspaper, imported from
the lists of two services. Some sign up, leave, complain or are erased in each week. The sender is killed;
the database is lost and restored from a backup that is a month old; in the end everything moves to
PostgreSQL. What readers got is judged from the received mails, against a model in plain Python; a violation
is printed when it is found, and the exit status is 1.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.simulation.browser import NoSuchForm
from tests.simulation.daemons import Daemons
from tests.simulation.inbox import Inbox
from tests.simulation.program import Clock, Program, WeekStopped
from tests.simulation.relay import Relay
from tests.simulation.simulation import CONNECTIONS
from tests.simulation.site import serving
from tests.simulation.year import audit, exports, plan
from tests.simulation.year.model import YearModel
from tests.simulation.year.people import NEWSLETTER
from tests.simulation.year.site import LongSite
from tests.simulation.year.year import BEGINS, RETENTION, Year, set_up
from tests.support import postgresql
from tests.support.receiver import receiver
from tools.week import LOG_SHOWN, PROCESSES, free_ports

TAKES = {NEWSLETTER: {"news": ""}}
LANGUAGES = {NEWSLETTER: "en"}
ZONES = {NEWSLETTER: "Europe/London"}


def live(folder: Path, mails: Path, target: str, number: int, weeks: int, seed: int) -> bool:
    """Play the year in an empty folder; whether nothing was wrong."""
    begun = time.monotonic()
    inbox = Inbox(mails)
    relay = Relay(inbox)
    few, many = PROCESSES["sqlite"], PROCESSES["postgresql"]
    ports = free_ports(sum("web" in roles for roles in many))
    calendar = plan.calendar(weeks)
    (folder / "backups").mkdir()
    with (
        receiver(relay.answer, relay.accept) as smtp,
        serving(LongSite()) as site,
        ExitStack() as stack,
    ):
        settings = {
            "database_url": f"sqlite:///{folder / 'mailer.db'}",
            "smtp_url": f"smtp://127.0.0.1:{smtp.port}",
            "smtp_connections": str(CONNECTIONS),
            "base_url": f"http://127.0.0.1:{ports[0]}",
            "staff_address": "desk@papers.example",
            "bounce_address": "bounce@papers.example",
            "lease": "8s",
            "backup_folder": str(folder / "backups"),
            "ledger_retention": f"{RETENTION.days}d",
        }
        program = Program(folder, settings, Clock(folder / "clock", BEGINS))
        year = Year(
            program=program,
            daemons=Daemons(program, few, ports[:1]),
            relay=relay,
            site=site,
            inbox=inbox,
            model=YearModel(site, TAKES, LANGUAGES),
            zones=ZONES,
            rng=random.Random(f"who {seed}"),
            calendar=calendar,
            acts=plan.acts(calendar, seed),
            lists=exports.draw(number, folder, seed),
            target=target,
            stack=stack,
            new_daemons=partial(Daemons, program, many, ports),
        )
        try:
            set_up(year)
            stack.enter_context(year.daemons)
            year.play()
            year.daemons.stop()
            audit.close(year)
        except (WeekStopped, NoSuchForm, ValueError) as stop:
            year.check(False, f"{type(stop).__name__}: {stop}")
        finally:
            program.shell.close()
        audit.show(year)
        violations = year.model.violations
        if violations:
            print(year.daemons.log()[-LOG_SHOWN:])
    word = f"{len(violations)} violations" if violations else "nothing found"
    print(f"seed {seed}: {word}, in {time.monotonic() - begun:.0f} s", flush=True)
    return not violations


def main() -> int:
    """Play the year; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the mails there")
    asked = parser.parse_args()
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="mailer-year-", dir=fast) as name,
        postgresql.server() as server,
    ):
        folder = Path(name) / "year"
        folder.mkdir()
        mails = Path(name) / "mails" if asked.keep is None else asked.keep.resolve()
        right = live(folder, mails, server.create(), asked.readers, asked.weeks, asked.seed)
        return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
