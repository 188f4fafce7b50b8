"""A process that builds slots, for tests of what several do at once or what one leaves when it dies.

Usage: build_process.py DATABASE_URL LEASE_SECONDS SCHEDULE_ID SLOT..., and a line on stdin to start.
Prints the id of the digest of each slot.
"""

import sys

from mailer.clock import utc_now
from mailer.db import Database
from mailer.digests import timetable
from mailer.models import Schedule
from tests.integration.digests.builders import builder


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    url, lease, schedule_id, *names = sys.argv[1:]
    database = Database(url)
    with database.read() as session:
        schedule = session.get_one(Schedule, int(schedule_id))
        slots = [timetable.slot_meant(schedule, name) for name in names]
    with builder(database, utc_now, lease=float(lease)) as one:
        say("ready")
        sys.stdin.readline()
        for slot in slots:
            say(str(one.build(schedule.id, slot)))
    database.dispose()


main()
