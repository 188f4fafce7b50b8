"""Does what readers and staff do: forms, links and buttons of their mails, each told to the model as well.

Which acts there are, and when, stands in `week`.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation import phrases
from tests.simulation.browser import open_page, send
from tests.simulation.inbox import Received
from tests.simulation.simulation import Simulation

STAFF = "desk@papers.example"
FORM_TIME = timedelta(seconds=12)
"""So long a person needs for the sign-up form."""
REVIEW = timedelta(minutes=30)
"""So long before a slot staff are shown its digest."""


@dataclass
class People(Simulation):
    """Readers and staff.

    Attributes:
        asked: the mails that ask somebody to confirm, until they are answered.
        ends: what became of each story for each reader, once the week is over.
    """

    asked: dict[str, Received] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)

    # Readers.

    def import_readers(self, reference: str, people: Iterable[tuple[str, str]]) -> None:
        """Import readers from a file."""
        newsletter = reference.partition("/")[0]
        rows = list(people)
        path = self.program.folder / "readers.csv"
        with path.open("w", newline="") as out:
            csv.writer(out).writerows([("name", "email"), *rows])
        done = self.program.ask(
            *("subscriber", "import", str(path), "--newsletter", newsletter),
            *("--schedule", reference, "--consent-source", "the old system"),
        )
        self.check(done["added"] == len(rows), f"import of {len(rows)} readers: {done}")
        for name, address in rows:
            self.model.join(address, reference, self.program.clock.now(), name)

    def sign_up(self, address: str, reference: str, name: str = "") -> None:
        """Fill in the sign-up form, at a person's pace."""
        newsletter = reference.partition("/")[0]
        url = f"{self.program.base}/subscribe/{newsletter}"
        status, page = open_page(url)
        self.program.clock.go_to(self.program.clock.now() + FORM_TIME)
        entries = {"email": address, "name": name}
        if 'name="schedule"' in page:
            entries["schedule"] = reference
        done, _ = send(url, page, entries)
        self.check((status, done) == (200, 200), f"form of {newsletter}: {status}, {done}")
        self.asked[address] = self.mail_to(address, "/confirm/")

    def press(self, url: str, **entries: str) -> str:
        """Open a page, and press the button of the form that has these fields; the answer."""
        opened, page = open_page(url)
        pressed, answer = send(url, page, entries)
        self.check((opened, pressed) == (200, 200), f"{url}: {opened}, then {pressed}")
        return answer

    def confirm(self, address: str, reference: str, name: str = "") -> None:
        """Press the button behind the link of the mail that asks to confirm."""
        self.press(self.asked.pop(address).link("confirm"))
        self.model.join(address, reference, self.program.clock.now(), name)

    def reject(self, address: str) -> None:
        """Press the button behind the other link of that mail."""
        self.press(self.asked.pop(address).link("not-me"))

    def change_schedule(self, address: str, reference: str) -> None:
        """Choose another schedule, on the page behind the link at the end of the latest digest."""
        newsletter, _, schedule = reference.partition("/")
        self.press(self.latest(address, newsletter).link("unsubscribe"), schedule=reference)
        self.model.reader(address, newsletter).schedule = schedule

    def change_in_preferences(self, address: str, reference: str) -> None:
        """Ask for the link to the page of one's own newsletters, and choose another schedule there."""
        newsletter, _, schedule = reference.partition("/")
        self.press(f"{self.program.base}/preferences", email=address)
        link = self.mail_to(address, "/preferences/").link("preferences")
        self.press(link, **{newsletter: schedule})
        self.model.reader(address, newsletter).schedule = schedule

    def leave(self, address: str, newsletter: str) -> None:
        """As a mail program does it: one click, no page."""
        url = self.latest(address, newsletter).one_click
        status, _ = open_page(url, {"List-Unsubscribe": "One-Click"})
        self.check(status == 200, f"one click of {address}: {status}")
        self.model.reader(address, newsletter).until = self.program.clock.now()

    def latest(self, address: str, newsletter: str) -> Received:
        """The latest digest of a newsletter to somebody."""
        every = self.inbox.to(address)
        return [one for one in every if one.digest is not None and one.newsletter == newsletter][-1]

    def mail_to(self, address: str, words: str) -> Received:
        """The latest mail to somebody that has these words and belongs to no digest; waits for one."""

        def found() -> list[Received]:
            return [
                one
                for one in self.inbox.to(address)
                if one.digest is None and words in one.text and one.number not in self.judged
            ]

        self.program.wait(found, f"a mail to {address} with {words}")
        mail = found()[-1]
        self.judged.add(mail.number)
        self.scan(mail)
        return mail

    # Staff.

    def review(self, reference: str, slot: datetime) -> tuple[str, str]:
        """Wait for the review of a digest, and judge it; its links: to stop the digest, and to send it."""
        schedule = self.model.schedules[reference]
        at = slot - REVIEW
        # It shows what was read until then, and not what may be read at the same moment.
        self.read(at - timedelta(minutes=10), *self.model.takes[schedule.newsletter])
        self.program.clock.go_to(at + timedelta(seconds=2))
        mail = self.mail_to(STAFF, "/review/")
        language = self.model.languages[schedule.newsletter]
        expected = self.model.expected(schedule, slot)
        where = f"the review of {reference} at {at:%a %H:%M}"
        self.check(reference in mail.words, f"{where} does not name it")
        told = phrases.number_in(language, phrases.READERS, mail.words)
        wanted = len(expected.mails)
        self.check(told == wanted, f"{where} speaks of {told} readers, and {wanted} get it")
        lists = list(expected.mails.values())
        most = max(map(lists.count, lists), default=0)
        self.check(
            mail.keys == mail.keys_of_html and lists.count(mail.keys) == most,
            f"{where} shows {mail.keys}, and not what most get",
        )
        return mail.link_after(language, phrases.STOP), mail.link_after(language, phrases.SEND)

    def unsubscribe(self, address: str, newsletter: str) -> None:
        """Staff end somebody's subscription."""
        self.program.type("subscriber", "unsubscribe", address, "--newsletter", newsletter)
        self.model.reader(address, newsletter).until = self.program.clock.now()

    def wait_for_staff_mail(self, words: str) -> None:
        """Staff got a mail with these words."""
        self.mail_to(STAFF, words)
