"""The unattended demo: two readers' way from the form to the last digest, checked step by step.

It judges by what the inbox received; what the mailer says about itself is only compared with that.
"""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from mailer.demo import browser
from mailer.demo.browser import Answer, Form
from mailer.demo.checklist import Mismatch, expect, require
from mailer.demo.mailbox import ReceivedMail
from mailer.demo.setup import BACKLOG, SLUG, WEEKLY, Setup

SCHEDULE = "daily"
DAILY = f"{SLUG}/{SCHEDULE}"
ANNA, BORIS = "anna@reader.example", "boris@reader.example"
NEWCOMER_ARTICLES = 5
"""`latest:5` is what a newcomer's first digest holds by default."""
MAIL_SECONDS = 15
FORM_SECONDS = 2.2
"""How long a person needs for the form at least; a faster one is taken for a robot."""

SECONDS = 56
"""What the journey may take, less what its last step needs."""
COMMANDS_AFTER_FIRST, COMMANDS_AFTER_SECOND = 12, 10
"""How many commands follow a digest; a slot is only waited for when there is time for them."""


def walk(stage: Setup) -> None:
    """Go through everything once.

    Raises:
        StepFailed: a step did not end as it should; the reason has been printed.
    """
    _Journey(stage).walk()


class _Journey:
    """One run: the stage, the slot that the scheduler shall meet, and what readers have got."""

    def __init__(self, stage: Setup) -> None:
        self._stage = stage
        self._step = stage.report.step
        self._began = datetime.now(UTC)
        self._slot = _whole_minute_after(self._began)
        self._slot_met = False
        self._sent_early = 0
        self._had: dict[str, list[list[str]]] = {ANNA: [], BORIS: []}

    def walk(self) -> None:
        """All steps in order."""
        self._stage.set_up(SCHEDULE, ("--cron", self._cron()))
        with self._step("Anna opens the form, enters her address and sends it"):
            self._sign_up_by_form(ANNA)
        with self._step("the confirmation mail arrives: both parts, one link, no pictures"):
            confirm = self._confirmation(ANNA)
        with self._step("opening the link changes nothing, as mail scanners open links too"):
            page = self._look_at_confirmation(confirm)
        self._let_a_close_slot_pass()
        with self._step("pressing the button makes her a subscriber"):
            self._confirm(page)
            expect("the subscribers after that", self._subscribers(), {ANNA})
        with self._step("Boris signs up for the weekly digest by a bare POST, and confirms"):
            self._sign_up_weekly(BORIS)
        self._first_digest()
        self._let_a_close_slot_pass()
        with self._step("three new articles appear in the feed and are taken in"):
            self._publish(3)
        self._second_digest()
        with self._step("one more article, one more digest, and nothing of it came before"):
            self._publish(1)
            self._send_early()
            self._expect_digest(ANNA, self._addresses_of_newest(1))
        with self._step("one POST to List-Unsubscribe takes Anna off, without any page"):
            self._leave_by_one_click(ANNA)
        with self._step("with nobody left, the next daily digest is skipped"):
            self._send_to_nobody()
        with self._step("Boris gets his weekly digest (digest send --wait), Anna nothing"):
            self._send_weekly()
        with self._step("digest show and delivery list agree with the inbox, mail by mail"):
            self._compare_ledger()
        with self._step("SIGTERM ends mailer run with exit status 0"):
            self._stop()
        seconds = (datetime.now(UTC) - self._began).total_seconds()
        count = len(self._stage.mailbox.mails())
        self._stage.report.say(f"\nAll of it held: {count} mails received, {seconds:.0f} s.")

    # The slot: cron knows whole minutes only, and the journey has less than one. So one digest goes
    # out at a slot by itself where a slot lies ahead, and the others are sent early by command.

    def _cron(self) -> str:
        if (self._slot - self._began).total_seconds() > SECONDS:
            self._slot += timedelta(hours=12)
        return f"{self._slot.minute} {self._slot.hour} * * *"

    def _slot_fits(self, commands_after: int) -> bool:
        """Whether the slot lies ahead, and early enough for what follows it."""
        rest = timedelta(seconds=SECONDS - commands_after * self._stage.program.pace)
        return datetime.now(UTC) < self._slot <= self._began + rest

    def _let_a_close_slot_pass(self) -> None:
        """Wait for a slot that would otherwise fall in the middle of the next steps."""
        close = timedelta(seconds=2 + 4 * self._stage.program.pace)
        if not timedelta(0) < self._slot - datetime.now(UTC) < close:
            return
        with self._step(f"the slot {self._slot:%H:%M} passes with nobody due, and is recorded"):
            self._wait_for_the_slot()
            deadline = time.monotonic() + MAIL_SECONDS
            while (status := self._status_of_the_slot()) in {None, "scheduled", "building"}:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)
            expect("the status of its digest", status, "skipped")

    def _wait_for_the_slot(self) -> None:
        time.sleep(max(0.0, (self._slot - datetime.now(UTC)).total_seconds()))

    def _status_of_the_slot(self) -> str | None:
        for digest in self._stage.program.ask("digest", "list", SLUG):
            if (digest["schedule"], digest["slot"]) == (SCHEDULE, self._name(self._slot)):
                return str(digest["status"])
        return None

    @staticmethod
    def _name(slot: datetime) -> str:
        return f"{slot:%Y-%m-%dT%H:%M}"

    def _first_digest(self) -> None:
        newest = self._addresses_of_newest(NEWCOMER_ARTICLES)
        if self._slot_fits(COMMANDS_AFTER_FIRST):
            with self._step(f"at the slot {self._slot:%H:%M} the scheduler sends the newest five"):
                self._expect_digest_of_the_slot(newest)
        else:
            with self._step("the slot is far, so digest send: the newest five articles arrive"):
                self._send_early()
                self._expect_digest(ANNA, newest)

    def _second_digest(self) -> None:
        new = self._addresses_of_newest(len(self._stage.newsroom.pieces()) - BACKLOG)
        if not self._slot_met and self._slot_fits(COMMANDS_AFTER_SECOND):
            with self._step(f"at the slot {self._slot:%H:%M} the scheduler sends only what is new"):
                self._expect_digest_of_the_slot(new)
        else:
            with self._step("the next digest (digest send) has only the new articles"):
                self._send_early()
                self._expect_digest(ANNA, new)

    def _expect_digest_of_the_slot(self, articles: list[str]) -> None:
        """Do nothing until the slot, and expect its digest all the same."""
        self._slot_met = True
        self._wait_for_the_slot()
        mail = self._expect_digest(ANNA, articles)
        digest = self._stage.program.ask("digest", "show", str(mail.header("X-Mailer-Digest")))
        expect("the slot of the digest that came", digest["slot"], self._name(self._slot))

    def _send_early(self) -> dict[str, Any]:
        """Send the digest of a later day's slot now; each call takes the next day."""
        self._sent_early += 1
        slot = self._name(self._slot + timedelta(days=self._sent_early))
        return dict(self._stage.program.ask("digest", "send", DAILY, "--slot", slot))

    # The readers

    def _sign_up_by_form(self, address: str) -> None:
        page = browser.get(f"{self._stage.addresses.form}/subscribe/{SLUG}")
        opened = time.monotonic()
        expect("the status of the form's page", page.status, 200)
        form = _only_form(page)
        require("a field called email", "email" in form.fields, form)
        time.sleep(max(0.0, opened + FORM_SECONDS - time.monotonic()))
        answer = browser.post(form.action, {**form.fields, "email": address})
        expect("the status of the answer", answer.status, 200)
        require("a page that says to look into the inbox", "inbox" in answer.body, answer.body)

    def _confirmation(self, address: str) -> str:
        """Check the confirmation mail and return the link that it carries."""
        mail = self._mail_to(address, "a confirmation mail", lambda mail: not mail.is_digest)
        require("a text part and an HTML part", bool(mail.text and mail.html), mail.subject)
        form = self._stage.addresses.form
        for links in (mail.links(), mail.text_links()):
            confirm = [link for link in links if link.startswith(f"{form}/confirm/")]
            not_me = [link for link in links if link.startswith(f"{form}/not-me/")]
            require("one link to confirm in each part", len(set(confirm)) == 1, links)
            require("one link for 'it was not me'", len(set(not_me)) == 1, links)
        expect("pictures in a confirmation", mail.images(), [])
        expect(
            "links of the two parts that differ", set(mail.text_links()) ^ set(mail.links()), set()
        )
        return confirm[0]

    def _look_at_confirmation(self, link: str) -> Answer:
        for _ in range(2):
            page = browser.get(link)
            expect("the status of the page behind the link", page.status, 200)
        expect("subscribers after opening the link", self._subscribers(), set())
        return page

    def _confirm(self, page: Answer) -> None:
        form = _only_form(page)
        answer = browser.post(form.action, form.fields)
        expect("the status after pressing the button", answer.status, 200)

    def _sign_up_weekly(self, address: str) -> None:
        answer = browser.post(
            f"{self._stage.addresses.form}/subscribe",
            {"email": address, "newsletter": SLUG, "schedule": WEEKLY},
        )
        expect("the status of the answer", answer.status, 200)
        self._confirm(browser.get(self._confirmation(address)))

    def _leave_by_one_click(self, address: str) -> None:
        last = self._digests_to(address)[-1]
        target = last.one_click
        if target is None:
            raise Mismatch(f"expected List-Unsubscribe headers\nseen: {last.message.items()}")
        form = self._stage.addresses.form
        require(f"an address under {form}", target.startswith(f"{form}/unsubscribe/"), target)
        answer = browser.post(target, {"List-Unsubscribe": "One-Click"})
        expect("the status of the answer", answer.status, 200)

    # The digests

    def _publish(self, count: int) -> None:
        for _ in range(count):
            self._stage.newsroom.publish(datetime.now(UTC))
        (refreshed,) = self._stage.program.ask("feed", "refresh")
        # The scheduler reads the feed as well, so what is new to this command may be fewer.
        taken = sum(refreshed[key] for key in ("new", "updated", "unchanged"))
        expect("articles read from the feed", taken, len(self._stage.newsroom.pieces()))

    def _send_to_nobody(self) -> None:
        before = len(self._stage.mailbox.mails())
        self._publish(1)
        digest = self._send_early()
        expect("the status of a digest that nobody is due", digest["status"], "skipped")
        expect("mails that it caused", len(self._stage.mailbox.mails()) - before, 0)

    def _send_weekly(self) -> None:
        anna = len(self._digests_to(ANNA))
        digest = self._stage.program.ask("digest", "send", WEEKLY, "--wait")
        expect("the status of the weekly digest", digest["status"], "sent")
        published = len(self._stage.newsroom.pieces())
        self._expect_digest(
            BORIS, self._addresses_of_newest(published - BACKLOG + NEWCOMER_ARTICLES)
        )
        expect("further digests to Anna, who has left", len(self._digests_to(ANNA)) - anna, 0)

    def _expect_digest(self, address: str, expected: list[str]) -> ReceivedMail:
        """Wait for the reader's next digest and check which articles it has, in both parts."""
        known = len(self._had[address])
        last = self._digests_to(address)[known - 1].number if known else 0
        mail = self._mail_to(
            address, "a digest", lambda mail: mail.is_digest and mail.number > last
        )
        articles = self._articles(mail.links())
        expect("articles of the HTML part", sorted(articles), sorted(expected))
        expect("articles of the text part", self._articles(mail.text_links()), articles)
        require("a one-click address", mail.one_click is not None, mail.message.keys())
        earlier = {article for digest in self._had[address] for article in digest}
        expect("articles that this reader had before", earlier & set(articles), set())
        self._had[address].append(articles)
        return mail

    def _compare_ledger(self) -> None:
        program = self._stage.program
        received = [mail for mail in self._stage.mailbox.mails() if mail.is_digest]
        by_digest = Counter(mail.header("X-Mailer-Digest") for mail in received)
        for number, count in by_digest.items():
            digest = program.ask("digest", "show", str(number))
            counts = dict(digest["deliveries"])
            name = f"deliveries of digest {number}"
            total = counts.pop("total")
            expect(f"the sum of the {name}", sum(counts.values()), total)
            expect(f"sent {name}", counts["sent"], count)
            expect(f"pending {name}", counts["pending"], 0)
            expect(f"{name} that were in doubt", digest["in_doubt"], 0)
        deliveries = {
            str(row["id"]): row["address"]
            for row in program.ask("delivery", "list")
            if row["status"] == "sent"
        }
        inbox = {str(mail.header("X-Mailer-Delivery")): mail.recipient for mail in received}
        expect("what the ledger says was delivered", deliveries, inbox)
        expect("digests that came twice", len(received) - len(inbox), 0)

    def _stop(self) -> None:
        status, seconds = self._stage.program.stop()
        if status != 0:
            raise Mismatch(
                f"expected exit status 0\nseen: {status} after {seconds:.1f} s\n"
                f"{self._stage.program.log_tail()}"
            )

    # What was seen

    def _mail_to(
        self, address: str, what: str, wanted: Callable[[ReceivedMail], bool]
    ) -> ReceivedMail:
        mail = self._stage.mailbox.wait(
            lambda mail: mail.recipient == address and wanted(mail), seconds=MAIL_SECONDS
        )
        if mail is None:
            inbox = [(mail.recipient, mail.subject) for mail in self._stage.mailbox.mails()]
            raise Mismatch(
                f"expected {what} to {address} within {MAIL_SECONDS} s\nseen: {inbox!r}\n"
                f"{self._stage.program.log_tail()}"
            )
        return mail

    def _digests_to(self, address: str) -> list[ReceivedMail]:
        return [mail for mail in self._stage.mailbox.to(address) if mail.is_digest]

    def _subscribers(self) -> set[str]:
        return {row["address"] for row in self._stage.program.ask("subscriber", "list")}

    def _articles(self, links: list[str]) -> list[str]:
        """The article addresses among `links`, each once, in order."""
        news = f"{self._stage.addresses.paper}/news/"
        return list(dict.fromkeys(link for link in links if link.startswith(news)))

    def _addresses_of_newest(self, count: int) -> list[str]:
        newsroom = self._stage.newsroom
        return [newsroom.address(piece) for piece in newsroom.pieces()[:count]]


def _whole_minute_after(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _only_form(page: Answer) -> Form:
    forms = [form for form in browser.forms(page) if form.method == "post"]
    require("one form to send", len(forms) == 1, forms)
    return forms[0]
