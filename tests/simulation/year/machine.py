"""Moves the lists in, makes nights pass, loses the database, brings it back, and moves it to PostgreSQL."""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.simulation.daemons import Daemons
from tests.simulation.program import WeekStopped
from tests.simulation.simulation import Plan
from tests.simulation.year import traces
from tests.simulation.year.exports import OldLists, in_letters
from tests.simulation.year.people import NEWSLETTER, WEEKLY, YearPeople

SOURCE = "our old newsletter, double opt-in"


@dataclass(kw_only=True)
class Machine(YearPeople):
    """What happens to the machine and its database.

    Attributes:
        target: the URL of the PostgreSQL database that everything moves to.
        new_daemons: makes the daemons that run there.
        aside: the backup that was put aside, and the moment that it is of.
        slots: when each mail of a digest went out, by its number.
        counts: of each digest, by its slot, how many mails went out and failed.
        lost: who was lost by the restore.
        slots_of_gap: of the digests that went out in the lost month.
    """

    lists: OldLists
    target: str
    stack: ExitStack
    new_daemons: Callable[[], Daemons]
    aside: Path | None = None
    aside_at: datetime | None = None
    slots: dict[int, datetime] = field(default_factory=dict)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    slots_of_gap: set[str] = field(default_factory=set)

    def import_lists(self, *, again: bool) -> None:
        """Import the old lists as their files are; who left or is not to be mailed stays away."""
        known = {one.address for one in self.model.readers} | self.years.reasons.keys()
        for kind, path in self.lists.files.items():
            done = self.program.ask(
                *("subscriber", "import", str(path), "--newsletter", NEWSLETTER),
                *("--schedule", WEEKLY, "--consent-source", SOURCE),
            )
            people = self.lists.ghost if kind == "ghost" else self.lists.mailchimp
            rows = [one for one in people if kind in ("ghost", one.state)]
            new = [one for one in rows if one.state == "subscribed" and one.address not in known]
            where = f"import of {path.name}"
            self.check(done["rows"] == len(rows), f"{where}: {done}, and it has {len(rows)} rows")
            self.check(not done["rejected"], f"{where}: {done['rejected']}")
            self.check(done["added"] == len(new), f"{where}: {done}, and {len(new)} are new")
            now = self.program.clock.now()
            for one in new:
                self.model.join(one.address, WEEKLY, now, one.name)
            for one in rows:
                if one.state == "cleaned" and not again:
                    self.years.refuse(one.address, "bounced", now)
                elif one.state == "unsubscribed" and not again:
                    self.model.join(one.address, WEEKLY, now, one.name)
                    self.years.leave(one.address, now)
                elif one.state == "unsubscribed" and kind == "ghost":
                    # The file does not say when they left, so who came back since is unsubscribed.
                    self.years.leave(one.address, now)
            counts = {name: done[name] for name in ("rows", "added", "unchanged", "skipped")}
            self.say(f"{where}: {counts}")

    def night(self, morning: datetime) -> None:
        """A night passes, in which the scheduler makes a backup."""
        before = self.backups()
        # A fetch that is under way when the clock is set again would count for the later time.
        self.read(morning, "news")
        self.program.wait(lambda: self.backups() - before, f"the backup of {morning:%d %B}")

    def backups(self) -> set[Path]:
        """The nightly backups."""
        folder = Path(self.program.settings["backup_folder"])
        return {path for path in folder.iterdir() if path.suffix in (".db", ".dump")}

    def put_backup_aside(self) -> None:
        """Copy the newest backup to where no rotation reaches it."""
        newest = max(self.backups())
        self.aside = self.program.folder / f"aside-{newest.name}"
        shutil.copy(newest, self.aside)
        self.aside_at = self.program.clock.now()
        self.years.remember()
        self.say(f"{newest.name} is put aside")

    def lose_and_restore(self, slot: datetime) -> None:
        """The database is lost, and comes back as it was a month ago; the coming digest is late by that."""
        assert self.aside is not None
        assert self.aside_at is not None
        self.daemons.kill_all()
        # The journal stands beside it.
        for path in self.program.folder.glob("mailer.db*"):
            path.unlink()
        self.say("the database is lost")
        self.program.type("db", "restore", str(self.aside), "--yes")
        self.lost = self.years.restore(self.aside_at, self.program.clock.now())
        gap = [past.slot for past in self.years.past if past.slot > self.aside_at]
        self.slots_of_gap = {self.name(self.model.schedules[WEEKLY], slot) for slot in gap}
        for address in self.lost:
            self.forget(address)
        self.say(f"restored as of {self.aside_at:%d %B}; {len(self.lost)} readers are lost")
        self.daemons.start_all()
        self.slot_without_mail(WEEKLY, slot, None)
        self.years.count_as_had(self.aside_at, self.program.clock.now())
        schedule = self.model.schedules[WEEKLY]
        expected = self.model.expected(schedule, slot)
        plan = Plan(schedule, slot, expected, Counter(expected.mails.values()))
        self.sent(plan, lambda: self.program.type("resume", "--yes"))

    def move(self) -> None:
        """Everything moves to PostgreSQL, where several processes go on."""
        self.daemons.stop()
        files = [*self.program.folder.glob("mailer*"), *self.program.folder.glob("*.log")]
        number = traces.search_files(self, files, "SQLite")
        self.say(f"{number} traces of people who were erased are in none of {len(files)} files")
        self.program.type("db", "move", "--to", self.target, "--yes")
        for words in (["status"], ["subscriber", "list"], ["db", "check"]):
            self.must_be_refused(*words)
        self.program.configure(database_url=self.target)
        self.daemons = self.stack.enter_context(self.new_daemons())
        self.say("everything is on PostgreSQL now")

    def must_be_refused(self, *words: str) -> None:
        """The database that everything was moved from takes no command."""
        try:
            self.program.type(*words)
        except WeekStopped as refused:
            self.check("moved" in str(refused), f"`mailer {' '.join(words)}`: {refused}")
        else:
            self.check(False, f"`mailer {' '.join(words)}` works in a database that was moved")

    def lost_come_again(self) -> None:
        """Some of those who were lost sign up again, as anybody new; others never notice."""
        may = [one for one in self.lost if one not in self.years.reasons]
        for address in may[:-1]:
            self.wait_a_little()
            self.came_back += 1
            self.come(address, f"Back {in_letters(self.came_back)}")

    def raise_max_age(self, age: timedelta) -> None:
        """Staff let digests hold older stories."""
        self.program.type("schedule", "edit", WEEKLY, "--max-age", f"{age.days}d")
        self.model.schedules[WEEKLY].max_age = age
