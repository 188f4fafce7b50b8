"""Knows in plain Python what a year of restores, erasures and purges must leave to whom.

Goes on from the model of the week. Written from the manual; never asks the mailer anything.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.model import Model, Reader, Schedule
from tests.simulation.site import Site, Story


@dataclass
class Life:
    """What somebody had in a time that the mailer no longer knows of: erased, or lost with the database.

    Somebody who subscribes again after it is a new reader to the mailer.

    Attributes:
        known: since when the mailer knew each story, as it was then: a restore makes it forget that.
    """

    address: str
    reason: str
    readers: list[Reader]
    had: Counter[str]
    counted: set[str]
    known: dict[str, datetime]


@dataclass(frozen=True)
class Past:
    """A digest that came: its slot, what it could hold, and which stories of it went out."""

    newsletter: str
    schedule: str
    slot: datetime
    candidates: frozenset[str]
    carried: frozenset[str]
    mails: int
    failed: frozenset[str]


class YearModel(Model):
    """Readers and stories over a year.

    Attributes:
        reasons: of each address that is suppressed, why.
        refused_at: since when an address is.
        counted: by address the stories that count as had since a restore, and never arrived.
        lives: what readers had who are erased or lost.
        erased: the addresses that were erased, with the name of each, by the moment.
        closed: stories that are not due to anybody any more, whatever `--max-age` says.
        past: all digests.
        newcomers: who was one when the backup was made.
    """

    def __init__(
        self, site: Site, takes: dict[str, dict[str, str]], languages: dict[str, str]
    ) -> None:
        super().__init__(site, takes, languages)
        self.reasons: dict[str, str] = {}
        self.refused_at: dict[str, datetime] = {}
        self.counted: dict[str, set[str]] = {}
        self.lives: list[Life] = []
        self.erased: list[tuple[datetime, str, str]] = []
        self.closed: set[str] = set()
        self.past: list[Past] = []
        self.newcomers: set[str] = set()
        self.raised_at: datetime | None = None

    # Who may be mailed.

    def current(self, newsletter: str) -> list[Reader]:
        """Those who subscribe and may be mailed."""
        return [
            one
            for one in self.readers
            if one.newsletter == newsletter
            and one.until is None
            and one.address not in self.refused
        ]

    def gone(self, newsletter: str) -> list[Reader]:
        """Those who left and may come back by confirming: the last spell of each."""
        last = {one.address: one for one in self.readers if one.newsletter == newsletter}
        return [
            one
            for one in last.values()
            if one.until is not None and one.address not in self.refused
        ]

    def refuse(self, address: str, reason: str, now: datetime) -> None:
        """An address is suppressed; the first reason stays."""
        self.refused.add(address)
        self.reasons.setdefault(address, reason)
        self.refused_at.setdefault(address, now)

    def leave(self, address: str, now: datetime) -> None:
        """Somebody leaves all that they subscribe to."""
        for one in self.readers:
            if one.address == address and one.until is None:
                one.until = now

    def erase(self, address: str, now: datetime) -> None:
        """Somebody is forgotten; should they come back, they are new, and may get what they had before."""
        names = {one.name for one in self.readers if one.address == address}
        self.leave(address, now)
        for name in names or {""}:
            self.erased.append((now, address, name))
        self._end_life(address, "erased")
        # A decision of people that was made before stays the reason.
        if self.reasons.get(address, "bounced") == "bounced":
            self.reasons[address] = "erased"
        # They may sign up themselves, and nobody else may bring them back; nothing of them is left to refuse.
        self.refused_at.pop(address, None)
        self.refused.discard(address)

    def is_suppressed(self, address: str) -> bool:
        return address in self.reasons

    # Stories.

    def candidates(self, schedule: Schedule, slot: datetime) -> list[str]:
        return [key for key in super().candidates(schedule, slot) if key not in self.closed]

    def note(
        self,
        schedule: Schedule,
        slot: datetime,
        mails: Iterable[tuple[str, ...]],
        failed: Iterable[str],
    ) -> None:
        """Remember a digest that went out, with the stories of each of its mails."""
        lists = list(mails)
        self.past.append(
            Past(
                schedule.newsletter,
                schedule.name,
                slot,
                frozenset(self.candidates(schedule, slot)),
                frozenset(key for keys in lists for key in keys),
                len(lists),
                frozenset(failed),
            )
        )

    def purge(self, before: datetime) -> int:
        """Digests of earlier slots are purged; what they carried is closed. How many stories are."""
        for one in self.past:
            if one.slot < before:
                self.closed |= one.carried
        return len(self.closed)

    # A restore.

    def remember(self) -> None:
        """A backup is made."""
        self.newcomers = {one.address for one in self.readers if one.is_newcomer}

    def restore(self, backup_at: datetime, now: datetime) -> list[str]:
        """The database is again as it was at `backup_at`, but for what the journal keeps.

        Returns:
            Who is lost: they subscribed in between, for the first time or the first time since they were
            erased. What the journal still knows is that the latter wanted it, so an import may enter them.
        """
        lost = []
        for address in sorted({one.address for one in self.readers}):
            theirs = [one for one in self.readers if one.address == address]
            if min(one.since for one in theirs) > backup_at:
                self.leave(address, now)
                self._end_life(address, "lost")
                lost.append(address)
            elif theirs[-1].until is None:
                self._forget_absence(theirs, backup_at)
        for key, known in list(self.known.items()):
            if known > backup_at:
                del self.known[key]
        for one in self.readers:
            # It is not known of any digest of the lost month that it was somebody's first.
            one.is_newcomer = one.address in self.newcomers or one.since > backup_at
        return lost

    def count_as_had(self, backup_at: datetime, now: datetime) -> None:
        """What was sent since counts as had by all who subscribed then."""
        for past in self.past:
            if past.slot <= backup_at:
                continue
            for key in past.carried:
                self.known.setdefault(key, now)
            for one in self.readers:
                if (one.newsletter, one.schedule) == (past.newsletter, past.schedule) and (
                    one.since <= past.slot and one.leaves_after(past.slot)
                ):
                    self._count(one.address, past.carried)
                    one.is_newcomer &= one.since > past.slot

    def _forget_absence(self, theirs: list[Reader], backup_at: datetime) -> None:
        """Who read when the backup was made and reads now has always read, as far as the mailer knows."""
        for one in theirs[:-1]:
            if one.since <= backup_at and one.leaves_after(backup_at):
                one.until = None
                later = [other for other in theirs if other.since > backup_at]
                self.readers = [other for other in self.readers if other not in later]

    def _count(self, address: str, keys: frozenset[str]) -> None:
        had = self.had.setdefault(address, Counter())
        new = keys - (+had).keys()
        self.counted.setdefault(address, set()).update(new)
        had.update(new)

    def _end_life(self, address: str, reason: str) -> None:
        theirs = [one for one in self.readers if one.address == address]
        self.readers = [one for one in self.readers if one.address != address]
        self.lives.append(
            Life(
                address,
                reason,
                theirs,
                self.had.pop(address, Counter()),
                self.counted.pop(address, set()),
                dict(self.known),
            )
        )

    # The end.

    def account(self) -> Counter[str]:
        """What became of each story for each reader, in each of their lives."""
        found: Counter[str] = Counter()
        for address in sorted({one.address for one in self.readers}):
            theirs = [one for one in self.readers if one.address == address]
            life = Life(
                address,
                "",
                theirs,
                self.had.get(address, Counter()),
                self.counted.get(address, set()),
                self.known,
            )
            self._account(life, found)
        for life in self.lives:
            self._account(life, found)
        return found

    def _account(self, life: Life, found: Counter[str]) -> None:
        for newsletter in sorted({one.newsletter for one in life.readers}):
            spells = [one for one in life.readers if one.newsletter == newsletter]
            for story in self.stories_of(newsletter):
                end = self._fate(life, spells, story)
                found[end] += 1
                self.check(
                    end != "forgotten", f"{life.address} never got {story.key} of {newsletter}"
                )

    def _fate(self, life: Life, spells: list[Reader], story: Story) -> str:
        key = story.key
        if key in life.counted:
            return "counted as had after the restore"
        if life.had[key]:
            return "had"
        if key in self.withdrawn:
            return "withdrawn"
        if key not in self.known:
            return "never shown"
        known = life.known.get(key)
        if known is None:
            return f"{life.reason} by then"
        if all(one.since >= known for one in spells):
            return "before their start"
        offered = [
            past
            for past in self.past
            if past.newsletter == spells[0].newsletter and key in past.candidates
        ]
        if not offered:
            return "expired"
        missed = [
            past
            for past in offered
            if any(self._gets(one, past.slot) and one.since < known for one in spells)
        ]
        if missed and all(life.address in past.failed for past in missed):
            return "expired while their mailbox was full"
        if missed:
            return "forgotten"
        return "left, or not to be mailed" if not life.reason else f"{life.reason} by then"

    def _gets(self, reader: Reader, slot: datetime) -> bool:
        """Whether somebody was to be mailed at this time."""
        refused = self.refused_at.get(reader.address)
        return (
            reader.since < slot
            and reader.leaves_after(slot)
            and (refused is None or slot < refused)
        )
