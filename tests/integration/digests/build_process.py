"""A process that builds slots, for tests of what several do at once or what one leaves when it dies.

Usage: build_process.py DATABASE_URL LEASE_SECONDS SCHEDULE_ID SLOT..., and a line on stdin to start.
Prints the id of the digest of each slot. With "walk" instead of slots, and a number, it lives through so many
slots as a scheduler does, by a clock of its own that is never quite right.
"""

import random
import sys
from datetime import datetime, timedelta
from itertools import islice

from mailer.clock import utc_now
from mailer.db import Database
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Rule, Slot, slots
from mailer.models import Schedule
from tests.integration.digests.builders import build_due, builder


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def wait_for_go() -> None:
    say("ready")
    sys.stdin.readline()


def build(database: Database, schedule: Schedule, found: list[Slot], lease: float) -> None:
    with builder(database, utc_now, lease=lease) as one:
        wait_for_go()
        for slot in found:
            say(str(one.build(schedule.id, slot)))


def walk(database: Database, schedule: Schedule, number: int, lease: float) -> None:
    """Ask what is due before, at and after each slot, with a clock that jumps back and forth."""
    moment = schedule.active_from

    def wall() -> datetime:
        return moment

    chance = random.Random()
    with builder(database, wall, lease=lease) as one:
        wait_for_go()
        for slot in islice(slots(Rule.of(schedule), schedule.active_from), number):
            for minutes in (
                chance.uniform(-60, 0),
                0,
                chance.uniform(0, 60),
                chance.uniform(-60, 60),
            ):
                moment = slot.due_at + timedelta(minutes=minutes)
                build_due(one, database, schedule.id, moment)


def main() -> None:
    url, lease, schedule_id, *names = sys.argv[1:]
    database = Database(url)
    with database.read() as session:
        schedule = session.get_one(Schedule, int(schedule_id))
        if names[0] != "walk":
            found = [slot_lookup.parse_slot(schedule, name) for name in names]
    if names[0] == "walk":
        walk(database, schedule, int(names[1]), float(lease))
    else:
        build(database, schedule, found, float(lease))
    database.dispose()


main()
