"""Does what readers and staff do in a year, each act told to the model as well.

What is done in any week stands in `tests.simulation.people`; which acts there are, and when, in `plan`.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulation.browser import open_page
from tests.simulation.inbox import Received
from tests.simulation.model import Reader
from tests.simulation.people import People
from tests.simulation.year.exports import in_letters
from tests.simulation.year.model import YearModel
from tests.simulation.year.plan import Act
from tests.support import returned_mail

NEWSLETTER, SCHEDULE = "courier", "weekly"
WEEKLY = f"{NEWSLETTER}/{SCHEDULE}"
NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "June", "Kit", "Lena")
MINUTES = timedelta(minutes=11)
"""A person does the next thing so much later; the same address waits ten minutes between two mails."""


@dataclass
class YearPeople(People):
    """Readers and staff over a year.

    Attributes:
        happened: how often each act did.
        old_links: by address the latest mail of people who were erased or lost.
        new_people, came_back: how many signed up for the first time, and as somebody new again.
        leaver: who left in the lost month, and is to come back in it.
        before_latest: the number of the last mail before the latest digest.
    """

    rng: random.Random = field(default_factory=random.Random)
    happened: dict[str, int] = field(default_factory=dict)
    old_links: dict[str, Received] = field(default_factory=dict)
    new_people: int = 0
    came_back: int = 0
    leaver: Reader | None = None
    before_latest: int = 0

    @property
    def years(self) -> YearModel:
        """The model, by its own type."""
        assert isinstance(self.model, YearModel)
        return self.model

    def say(self, words: str) -> None:
        print(f"  {self.program.clock.now():%d %b %H:%M}  {words}", flush=True)

    def wait_a_little(self) -> None:
        self.program.clock.go_to(self.program.clock.now() + MINUTES)

    def do(self, act: Act) -> None:
        """Let somebody do it who can; nobody does where nobody can."""
        acts: dict[Act, Callable[[], bool]] = {
            Act.SIGN_UP: lambda: self.somebody_new(confirms=True),
            Act.SIGN_UP_IN_VAIN: lambda: self.somebody_new(confirms=False),
            Act.COME_BACK: self.come_back,
            Act.COME_BACK_ERASED: self.come_back_erased,
            Act.SUPPRESS: self.suppress,
            Act.UNSUBSCRIBE: self.staff_unsubscribe,
            Act.ERASE: self.staff_erase,
            Act.LEAVE_FOR_A_WHILE: self.leave_for_a_while,
            Act.RETURN: self.return_soon,
            Act.LEAVE: self.leave_by_the_page,
            Act.ONE_CLICK: self.leave_with_one_click,
            Act.COMPLAIN: lambda: self.send_back("complained"),
            Act.BOUNCE: lambda: self.send_back("bounced"),
            Act.FULL: self.fill_mailbox,
            Act.ERASE_ONESELF: self.erase_oneself,
        }
        self.wait_a_little()
        if acts[act]():
            self.happened[act] = self.happened.get(act, 0) + 1

    # Who comes.

    def somebody_new(self, *, confirms: bool) -> bool:
        """Somebody signs up for the first time."""
        self.new_people += 1
        # Erased names are looked for at the end, so each is one of its own.
        name = f"{NAMES[self.new_people % len(NAMES)]} Newcome {in_letters(self.new_people)}"
        self.come(f"newcomer.{self.new_people:03}@readers.example", name, confirms=confirms)
        return True

    def come(self, address: str, name: str, *, confirms: bool = True) -> None:
        """Sign up by the form, and confirm by the mailed link."""
        self.sign_up(address, WEEKLY, name)
        if confirms:
            self.confirm(address, WEEKLY, name)
            self.years.reasons.pop(address, None)

    def come_back(self) -> bool:
        """Somebody who left signs up again."""
        if not (gone := self.years.gone(NEWSLETTER)):
            return False
        one = self.rng.choice(gone)
        self.come(one.address, one.name)
        return True

    def return_soon(self) -> bool:
        """Who left for a while signs up again."""
        leaver, self.leaver = self.leaver, None
        if leaver is None:
            return False
        self.come(leaver.address, leaver.name)
        return True

    def come_back_erased(self) -> bool:
        """Somebody who was erased signs up again, as anybody new."""
        reading = {one.address for one in self.model.readers}
        erased = [
            (address, name)
            for _, address, name in self.years.erased
            if address not in reading and self.years.reasons.get(address) == "erased"
        ]
        if not erased:
            return False
        address, _ = self.rng.choice(sorted(set(erased)))
        self.came_back += 1
        self.come(address, f"Phoenix {in_letters(self.came_back)}")
        return True

    # Who goes.

    def somebody(self, *, with_mail: bool = False) -> str | None:
        """An address that subscribes and may be mailed."""
        found = [one.address for one in self.years.current(NEWSLETTER)]
        if with_mail:
            mailed = {mail.address for mail in self.recent()}
            found = [one for one in found if one in mailed]
        return self.rng.choice(found) if found else None

    def recent(self) -> Sequence[Received]:
        """The mails of the latest digest."""
        mails = self.inbox.digests()
        return [mail for mail in mails if mail.number > self.before_latest]

    def suppress(self) -> bool:
        """Staff suppress an address."""
        if (address := self.somebody()) is None:
            return False
        self.program.type("suppression", "add", address, "--reason", "asked by phone")
        self.years.refuse(address, "staff", self.program.clock.now())
        return True

    def staff_unsubscribe(self) -> bool:
        if (address := self.somebody()) is None:
            return False
        self.unsubscribe(address, NEWSLETTER)
        return True

    def leave_by_the_page(self) -> bool:
        if (address := self.somebody(with_mail=True)) is None:
            return False
        self.press(self.latest(address, NEWSLETTER).link("unsubscribe"))
        self.years.leave(address, self.program.clock.now())
        return True

    def leave_for_a_while(self) -> bool:
        """Somebody who has read for long leaves, who will soon come back."""
        mailed = {mail.address for mail in self.recent()}
        found = [one for one in self.years.current(NEWSLETTER) if one.address in mailed]
        if not found:
            return False
        self.leaver = min(found, key=lambda one: one.since)
        self.leave(self.leaver.address, NEWSLETTER)
        return True

    def leave_with_one_click(self) -> bool:
        if (address := self.somebody(with_mail=True)) is None:
            return False
        self.leave(address, NEWSLETTER)
        return True

    def send_back(self, reason: str) -> bool:
        """The latest mail to somebody comes back as a complaint, or as a bounce."""
        if (address := self.somebody(with_mail=True)) is None:
            return False
        self.return_mail(self.latest(address, NEWSLETTER), reason)
        self.years.refuse(address, reason, self.program.clock.now())
        return True

    def return_mail(self, mail: Received, reason: str) -> str:
        """Give a mail to the mailer as the reader's server sends it back; what the command prints."""
        write = returned_mail.complaint if reason == "complained" else returned_mail.bounce
        raw = self.inbox.path(mail.number).read_bytes()
        path = self.program.folder / "returned.eml"
        path.write_bytes(write(raw, mail.sender))
        return self.program.type("bounce", "process", str(path))

    def fill_mailbox(self) -> bool:
        """Somebody's mailbox is full at the coming digest."""
        reading = [one.address for one in self.years.current(NEWSLETTER)]
        found = [one for one in reading if one not in self.relay.full]
        # Who just came may have nothing due, and then no mail fails.
        if not found:
            return False
        self.relay.full.add(self.rng.choice(found))
        return True

    # Who is forgotten.

    def staff_erase(self) -> bool:
        """Staff erase a reader, of whom much or little is known."""
        if (address := self.somebody()) is None:
            return False
        self.forget(address)
        self.program.type("subscriber", "erase", address, "--yes")
        self.years.erase(address, self.program.clock.now())
        return True

    def erase_oneself(self) -> bool:
        """A reader asks for it on the page of their preferences, and presses the button behind the link."""
        if (address := self.somebody()) is None:
            return False
        self.forget(address)
        self.press(f"{self.program.base}/preferences", email=address)
        link = self.mail_to(address, "/preferences/").link("preferences")
        self.press(link, ask="erase")
        self.wait_a_little()
        mail = self.mail_to(address, "/erase/")
        self.press(mail.link("erase"))
        self.years.erase(address, self.program.clock.now())
        return True

    def forget(self, address: str) -> None:
        """Keep the latest mail of somebody, whose links must lead nowhere later."""
        mails = [mail for mail in self.inbox.to(address) if mail.digest is not None]
        if mails:
            self.old_links[address] = mails[-1]

    def use_old_links(self) -> None:
        """People who are forgotten or lost use the links of their last mail; nobody else may be hit by it."""
        before = self.model.subscriptions(NEWSLETTER)
        for address, mail in sorted(self.old_links.items()):
            status, _ = open_page(mail.one_click, {"List-Unsubscribe": "One-Click"})
            self.check(status in (200, 404), f"an old link of {address} answers {status}")
        rows = self.program.ask("subscriber", "list")
        alive = sum(row["state"] not in ("left", "erased") for row in rows)
        self.check(alive == before, f"old links: {alive} subscriptions are left of {before}")
