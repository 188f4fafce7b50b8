"""Plays the year itself, week by week: a newspaper moves in, loses its database, and moves on.

Every act of a reader or of staff is one of `people`; when which happens stands in `plan`; what befalls the
machine, in `machine`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.simulation import failures
from tests.simulation.inbox import Received
from tests.simulation.model import Schedule
from tests.simulation.simulation import Plan
from tests.simulation.year.exports import OldLists
from tests.simulation.year.machine import Machine
from tests.simulation.year.people import NEWSLETTER, SCHEDULE, WEEKLY
from tests.simulation.year.plan import AFTER_THE_DIGEST, Act, Calendar

BEGINS = datetime(2027, 1, 2, 9, 0, tzinfo=UTC)
"""A Saturday."""
ZONE = ZoneInfo("Europe/London")
RAISED = timedelta(days=360)
RETENTION = timedelta(days=180)


@dataclass(kw_only=True)
class Year(Machine):
    """Fifty-two weeks of one newspaper."""

    calendar: Calendar
    acts: list[list[Act]]
    lists: OldLists

    def play(self) -> None:
        """Play all weeks; the daemons run already."""
        month = ""
        for week in range(self.calendar.weeks):
            monday = BEGINS + timedelta(days=7 * week + 2)
            if (name := f"{monday:%B}") != month:
                month = name
                reading = len(self.years.current(NEWSLETTER))
                print(f"{monday:%B %Y}: {reading} readers", flush=True)
            self.week(week, monday)

    def week(self, week: int, monday: datetime) -> None:
        """A week: what is written, who comes and goes, the digest, who goes after it, and a night."""
        acts = self.acts[week]
        if week == self.calendar.lost + 1:
            self.use_old_links()
            self.lost_come_again()
        self.write("news", 2 + self.rng.randrange(3), monday - timedelta(hours=2))
        if Act.FULL in acts:
            # Old already, and found today: who does not get it this week will be too late.
            self.write("news", 1, monday - timedelta(days=25))
        self.read(monday, "news")
        if week == self.calendar.imported_again:
            self.import_lists(again=True)
        for act in acts:
            if act not in AFTER_THE_DIGEST:
                self.do(act)
        if week == self.calendar.raised:
            closed = self.years.purge(self.program.clock.now() - RETENTION)
            self.raise_max_age(RAISED)
            self.say(f"digests may hold what is 360 days old, but for {closed} closed stories")
        slot = self.slot_of(monday)
        if week == self.calendar.lost:
            self.lose_and_restore(slot)
        elif week in (self.calendar.kill, self.calendar.killed_again):
            failures.kill(self, self.plan(self.weekly, slot))
        else:
            self.slot(WEEKLY, slot)
        self.relay.full.clear()
        for act in acts:
            if act in AFTER_THE_DIGEST:
                self.do(act)
        self.night(slot + timedelta(days=1))
        if week == self.calendar.copied:
            self.put_backup_aside()
        if week == self.calendar.moved:
            self.move()

    @property
    def weekly(self) -> Schedule:
        return self.model.schedules[WEEKLY]

    def slot_of(self, monday: datetime) -> datetime:
        """The Friday of that week, at seven in the morning in London."""
        local = (monday + timedelta(days=4)).astimezone(ZONE)
        return local.replace(hour=7, minute=0, second=0).astimezone(UTC)

    def sent(
        self, plan: Plan, act: Callable[[], object], *, may_doubt: bool = False
    ) -> list[Received]:
        """Let a digest be sent and judged, and remember it."""
        self.before_latest = self.inbox.number
        failed = (self.relay.full | self.relay.gone) & plan.expected.mails.keys()
        each = super().sent(plan, act, may_doubt=may_doubt)
        self.years.note(plan.schedule, plan.slot, [mail.keys for mail in each], failed)
        for mail in self.inbox.digests(self.before_latest):
            self.slots[mail.number] = plan.slot
        self.counts[self.name(plan.schedule, plan.slot)] = (len(each), len(failed))
        return each


def set_up(year: Year) -> None:
    """Set the newspaper up, and move its readers in."""
    program = year.program
    year.write("news", 6, BEGINS - timedelta(days=3))
    program.type("init")
    program.type(
        *("newsletter", "add", NEWSLETTER, "--title", "The Harbour Courier"),
        *("--from", "The Harbour Courier <courier@papers.example>"),
        *("--postal-address", "1 Quay Street, Merrowhaven"),
    )
    program.type(
        *("feed", "add", year.site.feed("news"), "--newsletter", NEWSLETTER, "--allow-private")
    )
    year.model.fetched(program.clock.now(), ["news"])
    program.type(
        *("schedule", "add", NEWSLETTER, SCHEDULE, "--at", "07:00", "--days", "fri"),
        *("--zone", str(ZONE), "--newcomers", "latest:5"),
    )
    weekly = Schedule(NEWSLETTER, SCHEDULE, newcomers=5)
    year.model.schedules[WEEKLY] = weekly
    year.import_lists(again=False)
