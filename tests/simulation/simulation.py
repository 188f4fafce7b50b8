"""Lets slots come: what was written is read, planned, built, sent and judged.

What readers and staff do with the mails they get stands in `people`; which acts there are, in `week`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.browser import open_page
from tests.simulation.daemons import Daemons
from tests.simulation.inbox import Inbox, Received
from tests.simulation.model import Expected, Keys, Model, Schedule
from tests.simulation.program import Program
from tests.simulation.relay import Relay
from tests.simulation.site import Site

CONNECTIONS = 2
"""To the relay, of each worker: so many mails may come twice when it is killed."""
READ_BEFORE = timedelta(minutes=4)
SECONDS = {"news": 0, "culture": 7, "hy": 11, "ru": 13, "common": 17}
"""No two stories have the same date, so that their order is certain."""


@dataclass
class Plan:
    """What the model expects at a slot, and how many get which list by `digest plan`."""

    schedule: Schedule
    slot: datetime
    expected: Expected
    planned: Counter[Keys]

    def without(self, address: str) -> None:
        """Somebody is not mailed any more since the plan was made."""
        self.planned[self.expected.mails.pop(address)] -= 1
        self.planned = +self.planned


@dataclass
class Tally:
    """What was seen of a newsletter's digests."""

    digests: int = 0
    mails: int = 0
    most_more: int = 0


@dataclass
class Simulation:
    """The newsroom's machine, its papers, and what is known of both.

    Attributes:
        zones: the zone of each newsletter.
        judged: the numbers of the mails that were held against something.
        in_doubt, refused: how many mails were, in the whole week.
    """

    program: Program
    daemons: Daemons
    relay: Relay
    site: Site
    inbox: Inbox
    model: Model
    zones: dict[str, str]
    judged: set[int] = field(default_factory=set)
    tallies: dict[str, Tally] = field(default_factory=dict)
    in_doubt: int = 0
    refused: int = 0

    def check(self, is_so: bool, words: str) -> None:
        self.model.check(is_so, words)

    def say(self, words: str) -> None:
        print(f"  {self.program.clock.now():%a %H:%M}  {words}", flush=True)

    # What is written, and what the mailer has read of it.

    def write(
        self, feed: str, count: int, begin: datetime, *others: str, category: str = ""
    ) -> None:
        """Publish so many stories, a minute apart."""
        for number in range(count):
            published = begin + timedelta(minutes=number, seconds=SECONDS[feed])
            self.site.publish(feed, published, *others, category=category)

    def read(self, instant: datetime, *feeds: str) -> None:
        """Let it be that time, and wait until the daemon has read these feeds, or all that are due."""
        names = feeds or sorted(set(SECONDS) - self.site.down)
        urls = {self.site.feed(name) for name in names}
        asked = dict(self.site.asked)
        self.program.clock.go_to(instant)
        what = f"feeds {names} to be read at {instant}"

        def are_read() -> bool:
            found = self.program.ask("feed", "list")
            read = {one["url"] for one in found if (one["last_fetched_at"] or "") >= _iso(instant)}
            return urls <= read

        # Commands cost more than the site's own count, so they only say what became of it.
        self.program.wait(lambda: all(self.site.asked[n] > asked.get(n, 0) for n in names), what)
        self.program.wait(are_read, what, every=0.5)
        self.model.fetched(instant, names)

    def refresh(self, *feeds: str) -> None:
        """Staff read these feeds now."""
        self.program.type("feed", "refresh", *map(self.site.feed, feeds))
        self.model.fetched(self.program.clock.now(), feeds)

    def article(self, key: str) -> int:
        """The number under which commands know a story."""
        [found] = [
            one["id"]
            for one in self.program.ask("article", "list")
            if one["url"].rpartition("/")[2] == key
        ]
        return int(found)

    # Slots.

    def plan(self, schedule: Schedule, slot: datetime) -> Plan:
        """Read the feeds just before a slot, and hold `digest plan` against the model."""
        self.read(slot - READ_BEFORE, *self.model.takes[schedule.newsletter])
        return self.planned(schedule, slot)

    def planned(self, schedule: Schedule, slot: datetime) -> Plan:
        """Hold `digest plan` against the model, as the feeds are known now."""
        expected = self.model.expected(schedule, slot)
        told = self.program.ask(
            "digest", "plan", schedule.reference, "--slot", self.name(schedule, slot)
        )
        planned: Counter[Keys] = Counter()
        more: dict[Keys, int] = {}
        for edition in told["editions"]:
            keys = tuple(_key(one["url"]) for one in edition["articles"])
            planned[keys] += edition["readers"]
            more[keys] = edition["more"]
        alive = self.model.subscriptions(schedule.newsletter)
        counted = planned.total() + sum(told["excluded"].values())
        where = f"plan of {schedule.reference} at {slot:%a %H:%M}"
        self.check(counted == alive, f"{where} counts {counted} of {alive} readers")
        wanted = Counter(expected.mails.values())
        self.check(planned == wanted, f"{where}: {dict(planned)}, and {dict(wanted)} was expected")
        self.check(more == expected.more, f"{where}: {more} more, and not {expected.more}")
        self.check(
            told["carried_over"] == len(expected.waiting),
            f"{where}: {told['carried_over']} carried over, and not {sorted(expected.waiting)}",
        )
        return Plan(schedule, slot, expected, planned)

    def slot(self, reference: str, slot: datetime) -> list[Received]:
        """Let a slot come: plan it, wait for its mails, and judge them."""
        plan = self.plan(self.model.schedules[reference], slot)
        return self.sent(plan, lambda: self.go_past(slot))

    def sent(
        self, plan: Plan, act: Callable[[], object], *, may_doubt: bool = False
    ) -> list[Received]:
        """Do what has the digest sent, wait until it is, and judge its mails.

        Args:
            may_doubt: whether a sender is killed meanwhile. Only then a mail may come twice, if it was in
                doubt, and no more of them than the sender had connections.
        """
        before = self.inbox.number
        refused = (self.relay.gone | self.relay.full) & plan.expected.mails.keys()
        for address in refused:
            # What failed is given back: it stays due, and the mail is tried again at the next slot.
            plan.without(address)
        self.refused += len(refused)
        act()
        schedule, expected = plan.schedule, plan.expected.mails
        name = self.name(schedule, plan.slot)
        where = f"{schedule.reference} {name}"
        self.program.wait(
            lambda: {one.address for one in self.inbox.digests(before)} >= expected.keys(),
            f"{len(expected)} mails of {where}",
        )
        found = self.wait_until_over(schedule, name)
        mails = self.inbox.digests(before)
        self.check(
            {one.digest for one in mails} <= {found["id"]}, f"{where}: mails of another digest"
        )
        wanted = "sent" if plan.planned else "skipped"
        self.check(found["status"] == wanted, f"{where} is {found['status']}")
        doubtful = self._doubtful(found["id"]) if plan.planned else Counter()
        most = CONNECTIONS if may_doubt else 0
        self.check(
            doubtful.total() <= most, f"{where}: {doubtful.total()} times in doubt, and not {most}"
        )
        self.in_doubt += doubtful.total()
        each = self.model.judge(schedule, where, plan.expected, plan.planned, mails, doubtful)
        self.model.sent(schedule, plan.slot, each)
        self.note(schedule.newsletter, len(each), max(plan.expected.more.values(), default=0))
        self.judged |= {one.number for one in mails}
        for one in each[:1]:
            self.scan(one)
        twice = len(mails) - len(each)
        self.say(
            f"{where}: {len(each)} mails, {len(set(expected.values()))} editions, "
            f"{len({key for one in each for key in one.keys})} stories"
            + (f"; in doubt {doubtful.total()}, twice {twice}" if may_doubt else "")
        )
        return each

    def scan(self, mail: Received) -> None:
        """Open every link of a mail that leads to us, as scanners of mail do; nothing may come of it."""
        for link in mail.links(self.program.base):
            status, _ = open_page(link)
            self.check(status == 200, f"mail {mail.number}: {link} answers {status}")

    def slot_without_mail(self, reference: str, slot: datetime, status: str | None) -> None:
        """Let a slot pass at which nothing may go out.

        Args:
            status: of the digest that stands for it; None where there is none.
        """
        schedule = self.model.schedules[reference]
        before = self.inbox.number
        self.read(slot - READ_BEFORE, *self.model.takes[schedule.newsletter])
        # Another fetch, because once it is done the slot was looked at as well.
        self.read(slot + timedelta(minutes=20), *self.model.takes[schedule.newsletter])
        mails = self.inbox.digests(before)
        found = self.digest(schedule, self.name(schedule, slot)) or {}
        self.check(not mails, f"{reference} {slot:%a %H:%M}: {len(mails)} mails went out")
        self.check(
            found.get("status") == status, f"{reference} {slot:%a %H:%M} is {found.get('status')}"
        )
        self.say(f"{reference}: nothing at {slot:%H:%M}, {status or 'no digest'}")

    def go_past(self, slot: datetime) -> None:
        self.program.clock.go_to(slot + timedelta(seconds=2))

    def digest(self, schedule: Schedule, name: str) -> dict[str, Any] | None:
        """The digest of a slot as `digest list` has it."""
        for one in self.program.ask("digest", "list", schedule.newsletter):
            if (one["schedule"], one["slot"]) == (schedule.name, name):
                return dict(one)
        return None

    def wait_until_over(self, schedule: Schedule, name: str) -> dict[str, Any]:
        """The digest of a slot, once nothing more will be sent of it."""
        found: dict[str, Any] = {}

        def is_over() -> bool:
            found.update(self.digest(schedule, name) or {})
            return found.get("status") in ("sent", "skipped", "cancelled")

        self.program.wait(is_over, f"the end of {schedule.reference} {name}", every=0.5)
        return found

    def name(self, schedule: Schedule, slot: datetime) -> str:
        """What a slot is called: the local date and time."""
        zone = ZoneInfo(self.zones[schedule.newsletter])
        return slot.astimezone(zone).strftime("%Y-%m-%dT%H:%M")

    def _doubtful(self, digest: int) -> Counter[str]:
        """How often the mail to somebody was in doubt."""
        rows = self.program.ask("delivery", "list", "--digest", str(digest))
        return +Counter({one["address"]: one["in_doubt"] for one in rows})

    def note(self, newsletter: str, mails: int, more: int = 0) -> None:
        """Count a digest."""
        tally = self.tallies.setdefault(newsletter, Tally())
        tally.digests += mails > 0
        tally.mails += mails
        tally.most_more = max(tally.most_more, more)


def _key(url: str) -> str:
    return url.rpartition("/")[2]


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
