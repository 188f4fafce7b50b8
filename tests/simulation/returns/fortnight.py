"""Plays a fortnight of daily digests that partly come back, and compares what the mailer makes of it.

The plan says what readers and servers do. Judged are the received mails, the suppressions, who has left, and
the rates that `digest report` gives.
"""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.simulation.program import Program, WeekStopped
from tests.simulation.returns import channels, plan
from tests.simulation.returns.channels import Channels
from tests.simulation.returns.plan import DAYS, Habit, Reader
from tests.support import returned_mail
from tests.support.receiver import Mail, fine

BEGINS: Final = datetime(2026, 10, 4, 20, 0, tzinfo=UTC)
SLOT: Final = "07:00"
RETRY: Final = timedelta(minutes=6)
NEWSLETTER: Final = "courier"
SCHEDULE: Final = f"{NEWSLETTER}/daily"

_LATER: Final = {
    Habit.GONE_LATER: channels.HARD,
    Habit.FULL_LATER: channels.FULL,
    Habit.FULL_AT_TIMES: channels.FULL,
    Habit.SPAM_LATER: channels.SPAM,
    Habit.COMPLAINS: channels.COMPLAINT,
    Habit.LEAVES: channels.LEAVE,
    Habit.AWAY: channels.AWAY,
    Habit.LATE: channels.LATE,
}
"""What is sent back after a mail was taken."""

_EVERY_DAY: Final = frozenset(
    {Habit.FULL_LATER, Habit.FULL_AT_TIMES, Habit.SPAM_LATER, Habit.AWAY, Habit.LATE}
)


class Relay:
    """Answers by the plan, and keeps what it takes, day by day."""

    def __init__(self, readers: list[Reader]) -> None:
        self.day = 0
        self.taken: dict[int, dict[str, list[Mail]]] = {day: {} for day in DAYS}
        self._readers = {reader.address: reader for reader in readers}
        self._tried: set[tuple[int, str]] = set()
        self._lock = threading.Lock()
        self._here = threading.local()

    def answer(self, verb: str, argument: str) -> str:
        """What is said to a command. Each connection has a thread of its own."""
        if verb == "DATA" and self._here.refused:
            return "554 5.5.1 no valid recipients"
        if verb != "RCPT":
            return fine(verb, argument)
        said = self._on_recipient(argument)
        self._here.refused = not said.startswith("2")
        return said

    def _on_recipient(self, argument: str) -> str:
        reader = self._readers.get(argument.partition("<")[2].partition(">")[0])
        if reader is None or self.day == 0:
            return fine("RCPT", argument)
        if reader.habit is Habit.GONE and self.day >= reader.day:
            return "550 5.1.1 there is no such mailbox"
        if reader.habit is Habit.FULL:
            return "552 5.2.2 the mailbox is full"
        if reader.habit is Habit.BLOCKED:
            return "554 5.7.1 blocked, because of the reputation of 192.0.2.1"
        if reader.habit is Habit.DEFERRED:
            with self._lock:
                if (self.day, reader.address) not in self._tried:
                    self._tried.add((self.day, reader.address))
                    return "451 4.3.2 try again later"
        return fine("RCPT", argument)

    def accept(self, mail: Mail) -> None:
        """Take a mail of a digest."""
        if mail.header("X-Mailer-Digest") is not None:
            with self._lock:
                self.taken[self.day].setdefault(mail.recipient, []).append(mail)


@dataclass
class Fortnight:
    """The story and what is wrong in it.

    Attributes:
        imap: types commands for the second mailbox.
        again: what arrives a second time, on the next day.
        digests: the id of each day's digest.
    """

    program: Program
    imap: Program
    relay: Relay
    channels: Channels
    readers: list[Reader]
    random: random.Random
    violations: list[str] = field(default_factory=list)
    again: list[tuple[str, str, Mail]] = field(default_factory=list)
    digests: dict[int, int] = field(default_factory=dict)

    def check(self, is_right: bool, violation: str) -> None:
        """Note and print a violation."""
        if not is_right:
            self.violations.append(violation)
            print(f"VIOLATION: {violation}", flush=True)

    def play(self) -> None:
        """Play all days.

        Raises:
            WeekStopped: something that had to happen did not.
        """
        for day in DAYS:
            self._send_digest(day)
            self._send_back(day)
            self._forge(day)
            self.channels.take_in(self.imap)
            print(f"day {day:2}: {len(self.relay.taken[day]):,} mails taken", flush=True)

    def _send_digest(self, day: int) -> None:
        hours, minutes = map(int, SLOT.split(":"))
        slot = BEGINS.replace(hour=hours, minute=minutes) + timedelta(days=day)
        self.program.clock.go_to(slot - timedelta(hours=1))
        self.program.type(
            *("article", "add", "--newsletter", NEWSLETTER, "--title", f"Story of day {day}"),
            *("--url", f"https://courier.example/stories/{day}"),
        )
        self.relay.day = day
        self.program.clock.go_to(slot)
        self.program.wait(lambda: self._digest(day) is not None, f"the digest of day {day}")
        while True:
            self.program.wait(lambda: self._waits_or_is_over(day), f"the mails of day {day}", 0.3)
            if self._status(day)["status"] == "sent":
                return
            self.program.clock.go_to(self.program.clock.now() + RETRY)

    def _digest(self, day: int) -> int | None:
        if day not in self.digests:
            slot = (BEGINS + timedelta(days=day)).date().isoformat()
            for row in self.program.ask("digest", "list", NEWSLETTER):
                if str(row["slot"]).startswith(slot) and row["status"] in ("sending", "sent"):
                    self.digests[day] = int(row["id"])
        return self.digests.get(day)

    def _status(self, day: int) -> Any:
        return self.program.ask("digest", "show", str(self.digests[day]))

    def _waits_or_is_over(self, day: int) -> bool:
        """Whether all that is left of the digest waits for a later try."""
        shown = self._status(day)
        if shown["status"] == "paused":
            raise WeekStopped(f"the digest of day {day} is paused: {shown['reason']}")
        if shown["status"] == "sent":
            return True
        deferred = self.program.ask(
            *("delivery", "list", "--digest", str(self.digests[day]), "--status", "deferred")
        )
        return 0 < shown["deliveries"]["pending"] == len(deferred)

    def _send_back(self, day: int) -> None:
        again, self.again = self.again, []
        for channel, what, mail in again:
            self.channels.send(channel, what, mail)
        for reader in self.readers:
            what = _LATER.get(reader.habit)
            mails = self.relay.taken[day].get(reader.address)
            if what is None or mails is None:
                continue
            is_on = day == reader.day or reader.habit in _EVERY_DAY
            if not is_on or (reader.habit is Habit.FULL_AT_TIMES and day == plan.GOOD_DAY):
                continue
            self.channels.send(reader.channel, what, mails[0])
            if reader.twice:
                self.again.append((reader.channel, what, mails[0]))

    def _forge(self, day: int) -> None:
        """Report falsely about readers whose addresses and delivery ids a forger may know."""
        for reader in self.readers:
            mails = self.relay.taken[day].get(reader.address)
            if reader.habit is not Habit.FRAMED or mails is None or self.random.random() < 0.5:
                continue
            mail = mails[0]
            wrong = self.random.randbytes(16).hex()
            forged = f"{channels.reference(mail).partition('.')[0]}.{wrong}"
            data = mail.data.replace(channels.reference(mail).encode(), forged.encode())
            sender = f"bounce+{forged}@news.example"
            copy = Mail(sender, mail.recipient, data)
            channel = self.random.choice(plan.MAIL + channels.WEBHOOKS)
            what = self.random.choice([channels.HARD, channels.COMPLAINT])
            self.channels.send(channel, what, copy)
            # Without any reference; only X-Mailer-Delivery is left to say which mail it was.
            bare = data.replace(forged.encode(), b"nothing")
            self.channels.deliver(
                "maildir",
                "bounce@news.example",
                returned_mail.bounce(bare, "bounce@news.example"),
                self.random.getrandbits(40),
            )

    def judge(self) -> None:
        """Compare what became of it with what must have."""
        expected = plan.expect(self.readers)
        by_address = {reader.address: reader for reader in self.readers}
        for day in DAYS:
            taken = self.relay.taken[day]
            twice = [address for address, mails in taken.items() if len(mails) > 1]
            self.check(not twice, f"day {day}: {len(twice)} readers got it twice: {twice[:3]}")
            must = {
                address
                for address in expected.recipients[day]
                if plan.is_taken(by_address[address], day)
            }
            missed, extra = sorted(must - set(taken)), sorted(set(taken) - must)
            self.check(not missed, f"day {day}: {len(missed)} readers missed it: {missed[:3]}")
            self.check(not extra, f"day {day}: {len(extra)} should not get it: {extra[:3]}")
            self._judge_rates(day, expected)
        self._judge_suppressions(expected)

    def _judge_suppressions(self, expected: plan.Expected) -> None:
        rows = self.program.ask("suppression", "list")
        suppressed = {str(row["address"]): str(row["reason"]) for row in rows}
        self.check(
            suppressed == expected.suppressed,
            f"suppressed wrongly: {sorted(suppressed.items() - expected.suppressed.items())[:5]}, "
            f"or not: {sorted(expected.suppressed.items() - suppressed.items())[:5]}",
        )
        for address, reason in self.random.sample(sorted(suppressed.items()), 5):
            shown = self.program.ask("subscriber", "show", address)
            told = [row["reason"] for row in shown["suppressions"]]
            self.check(told == [reason], f"`subscriber show {address}` says {told}")
            kinds = {row["kind"] for row in shown["returned"]}
            must = "complaint" if reason == "complained" else ("hard", "soft")
            self.check(any(kind in must for kind in kinds), f"{address}: returned {kinds}")

    def _judge_rates(self, day: int, expected: plan.Expected) -> None:
        report = self.program.ask("digest", "report", str(self.digests[day]))
        told = _rates(report["returned"])
        self.check(
            told == expected.rates[day], f"day {day}: {told} instead of {expected.rates[day]}"
        )
        for row in report["returned_domains"]:
            domain = row["domain"]
            must = expected.domains[day][domain]
            self.check(_rates(row) == must, f"day {day}, {domain}: {_rates(row)} instead of {must}")

    def summary(self) -> str:
        """What there was, in a few lines."""
        counts = plan.habits(self.readers)
        sent_back = ", ".join(
            f"{n:,} by {name}" for name, n in sorted(self.channels.posted.items())
        )
        total = Counter(len(self.relay.taken[day]) for day in DAYS)
        return "\n".join(
            [
                f"readers: {', '.join(f'{n:,} {habit}' for habit, n in counts.most_common())}",
                f"mails taken: {sum(size * times for size, times in total.items()):,}",
                f"sent back: {sent_back}",
            ]
        )


def _rates(row: Any) -> plan.Rates:
    return plan.Rates(row["attempts"], row["hard"], row["soft"], row["complaints"])
