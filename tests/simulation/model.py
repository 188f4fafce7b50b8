"""Decides in plain Python who should get what, by the documented rules, and checks that they got it.

Knows what was shown on the sites, who came and left and what staff did, because the week tells it. What
readers got it takes from received mails alone. It never asks the mailer anything.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation import phrases
from tests.simulation.inbox import Received
from tests.simulation.site import Site, Story
from tests.support import due_rules as rules

Keys = tuple[str, ...]
"""The stories of a mail, in their order."""


@dataclass
class Schedule(rules.Terms):
    """When a newsletter goes out, and how much of it.

    Attributes:
        lead, subject: what staff want for the coming digest.
        before: the candidates of its last digest.
    """

    newsletter: str
    name: str
    lead: str | None = None
    subject: str | None = None
    before: set[str] = field(default_factory=set)

    @property
    def reference(self) -> str:
        return f"{self.newsletter}/{self.name}"


@dataclass
class Reader:
    """One who subscribes to a newsletter; `since` is the moment from which on stories are due to them."""

    address: str
    newsletter: str
    schedule: str
    since: datetime
    name: str = ""
    until: datetime | None = None
    is_newcomer: bool = True

    def leaves_after(self, instant: datetime) -> bool:
        """Whether they had not left by then."""
        return self.until is None or self.until > instant


@dataclass
class Expected:
    """What a digest should be.

    Attributes:
        mails: by address the stories that a reader gets.
        more: how many others such a mail says are on the site.
        waiting: the stories that are due to somebody who does not get them this time.
    """

    mails: dict[str, Keys] = field(default_factory=dict)
    more: dict[Keys, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


class Model:
    """The newspapers, their readers, and what is due to whom.

    Attributes:
        takes: the feeds of each newsletter, with the only category that it wants, or "".
        had: the stories that each address got, over all newsletters.
        known: since when the mailer knows a story.
        titles: under which title; what is printed keeps its title.
        violations: what was not as it should be, in words.
    """

    def __init__(
        self, site: Site, takes: dict[str, dict[str, str]], languages: dict[str, str]
    ) -> None:
        self.site = site
        self.takes = takes
        self.languages = languages
        self.schedules: dict[str, Schedule] = {}
        self.readers: list[Reader] = []
        self.refused: set[str] = set()
        self.had: dict[str, Counter[str]] = {}
        self.known: dict[str, datetime] = {}
        self.titles: dict[str, str] = {}
        self.titled_by_staff: set[str] = set()
        self.dropped: set[tuple[str, str]] = set()
        self.withdrawn: set[str] = set()
        self.held: set[str] = set()
        self.violations: list[str] = []

    def check(self, is_so: bool, words: str) -> None:
        """Note a violation unless it is so."""
        if not is_so:
            self.violations.append(words)
            print(f"  VIOLATION: {words}", flush=True)

    def join(self, address: str, reference: str, since: datetime, name: str = "") -> None:
        """Somebody subscribes, or comes back."""
        newsletter, _, schedule = reference.partition("/")
        self.readers.append(Reader(address, newsletter, schedule, since, name))

    def reader(self, address: str, newsletter: str) -> Reader:
        """The subscription of that address that was not left."""
        [found] = [
            one
            for one in self.readers
            if (one.address, one.newsletter, one.until) == (address, newsletter, None)
        ]
        return found

    def subscriptions(self, newsletter: str) -> int:
        """How many were not left."""
        return sum(one.newsletter == newsletter and one.until is None for one in self.readers)

    def fetched(self, now: datetime, among: Iterable[str]) -> None:
        """The mailer has just read these feeds, as far as they can be read and are not held."""
        read = set(among) - self.site.down - self.held
        printed = {key for had in self.had.values() for key in had}
        for story in self.site.stories.values():
            if read.intersection(story.feeds) and not story.gone:
                self.known.setdefault(story.key, now)
                if story.key not in printed | self.titled_by_staff:
                    self.titles[story.key] = story.title

    def stories_of(self, newsletter: str) -> list[Story]:
        """What the newsletter takes, whenever it came."""
        takes = self.takes[newsletter]
        return [
            story
            for story in self.site.stories.values()
            if any(feed in takes and takes[feed] in ("", story.category) for feed in story.feeds)
        ]

    def candidates(self, schedule: Schedule, slot: datetime) -> list[str]:
        """What a digest may hold, the newest first."""
        newsletter = schedule.newsletter
        published = {
            one.key: one.published
            for one in self.stories_of(newsletter)
            if one.key in self.known
            and one.key not in self.withdrawn
            and (newsletter, one.key) not in self.dropped
        }
        return rules.candidates(published, schedule, slot)

    def on(self, schedule: Schedule) -> list[Reader]:
        """Who is to be mailed on that schedule; a one-off is for all who read the newsletter."""
        return [
            one
            for one in self.readers
            if one.newsletter == schedule.newsletter
            and (one.schedule == schedule.name or schedule.reference not in self.schedules)
            and one.until is None
            and one.address not in self.refused
        ]

    def expected(self, schedule: Schedule, slot: datetime) -> Expected:
        """What everybody on the schedule gets at this slot."""
        expected = Expected()
        every = self.candidates(schedule, slot)
        for reader in self.on(schedule):
            # What a person chose is for everybody, whenever they came.
            late = {one for one in every if schedule.chosen or self.known[one] > reader.since}
            due = rules.due(
                every,
                late,
                set(every) - late,
                +self.had.get(reader.address, Counter()),
                schedule.newcomers if reader.is_newcomer else 0,
            )
            keys = rules.contents(due, late, schedule.before, schedule.lead, schedule)
            expected.waiting |= {one for one in due if one in late and one not in (keys or ())}
            if keys is not None:
                expected.mails[reader.address] = keys
                more = len(due) - len(keys)
                expected.more[keys] = min(more, expected.more.get(keys, more))
            else:
                expected.waiting |= set(due)
        return expected

    def judge(
        self,
        schedule: Schedule,
        where: str,
        expected: Expected,
        planned: Counter[Keys],
        mails: Iterable[Received],
        doubtful: Collection[str] = (),
    ) -> list[Received]:
        """Hold the mails of one digest against what was expected and what `digest plan` had said.

        Args:
            doubtful: who may get the same mail twice.

        Returns:
            The mails, each once.
        """
        got: dict[str, Received] = {}
        for mail in mails:
            first = got.setdefault(mail.address, mail)
            self.check(
                mail is first or (mail.address in doubtful and mail.is_again(first)),
                f"{where}: two mails to {mail.address}",
            )
        for address in sorted(expected.mails.keys() | got.keys()):
            keys = got[address].keys if address in got else None
            self.check(
                expected.mails.get(address) == keys,
                f"{where}: {address} should get {expected.mails.get(address)} and got {keys}",
            )
        told = Counter(mail.keys for mail in got.values())
        self.check(told == planned, f"{where}: planned {dict(planned)}, sent {dict(told)}")
        for mail in got.values():
            self._read(schedule, f"{where}: mail {mail.number}", expected, mail)
        return list(got.values())

    def _read(self, schedule: Schedule, where: str, expected: Expected, mail: Received) -> None:
        """Read a mail as its reader does."""
        self.check(mail.keys == mail.keys_of_html, f"{where}: text and HTML hold different stories")
        language = self.languages[schedule.newsletter]
        more = phrases.number_in(language, phrases.MORE, mail.text) or 0
        wanted = expected.more.get(mail.keys)
        self.check(more == wanted, f"{where} speaks of {more} more stories instead of {wanted}")
        titles = [self.titles[key] for key in mail.keys if key in self.titles]
        for title in titles:
            self.check(title in mail.words, f"{where} lacks the title {title!r}")
        subject = schedule.subject or next(iter(titles), "")
        self.check(mail.subject == subject, f"{where}: {mail.subject!r} instead of {subject!r}")
        for one in self.readers:
            if one.name and (one.address, one.newsletter) == (mail.address, schedule.newsletter):
                hello = phrases.said(language, phrases.HELLO) % {"name": one.name}
                # The digest whose subject staff changed has an introduction of theirs as well.
                greets = (hello in mail.words) == (schedule.subject is None)
                self.check(greets, f"{where} greets with {hello!r}, or should and does not")

    def sent(self, schedule: Schedule, slot: datetime, mails: Collection[Received]) -> None:
        """A digest has gone out, to these readers: they have what it holds."""
        addresses = {mail.address for mail in mails}
        for mail in mails:
            had = self.had.setdefault(mail.address, Counter())
            for key in mail.keys:
                had[key] += 1
                self.check(had[key] == 1, f"{mail.address} got {key} {had[key]} times")
        if schedule.chosen:
            return
        for one in self.on(schedule):
            if one.address in addresses:
                one.is_newcomer = False
        schedule.before = set(self.candidates(schedule, slot))
        if mails:
            schedule.lead = schedule.subject = None

    def account(self) -> Counter[str]:
        """In the end: what became of each story for each reader of a newsletter, each pair counted once."""
        found: Counter[str] = Counter()
        for address, newsletter in sorted({(one.address, one.newsletter) for one in self.readers}):
            spells = [
                one
                for one in self.readers
                if (one.address, one.newsletter) == (address, newsletter)
            ]
            for story in self.stories_of(newsletter):
                end = self._end(address, newsletter, spells, story)
                found[end] += 1
                self.check(end != "forgotten", f"{address} never got {story.key} of {newsletter}")
        return found

    def _end(self, address: str, newsletter: str, spells: list[Reader], story: Story) -> str:
        """What became of a story for one reader."""
        known = self.known.get(story.key)
        oldest = min(one.max_age for one in self.schedules.values())
        if self.had.get(address, Counter())[story.key]:
            return "had"
        if story.key in self.withdrawn:
            return "withdrawn"
        if (newsletter, story.key) in self.dropped:
            return "dropped"
        if known is None:
            return "never shown"
        if story.published <= known - oldest:
            return "expired"
        if address in self.refused:
            return "not to be mailed"
        if all(one.since >= known for one in spells):
            return "before their start"
        if all(one.until is not None or one.since >= known for one in spells):
            return "left before"
        return "forgotten"
