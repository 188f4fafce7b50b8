"""Takes two readers from the form to their last digest, and checks every step (`mailer demo --once`).

The inbox decides: what the mailer says about itself is only compared with what has arrived there.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from mailer.demo import browser
from mailer.demo.browser import HtmlForm, PageAnswer
from mailer.demo.checklist import Mismatch, expect, require
from mailer.demo.mailbox import ReceivedMail
from mailer.demo.setup import BACKLOG, SLUG, WEEKLY, Demo

SCHEDULE = "daily"
DAILY = f"{SLUG}/{SCHEDULE}"
ANNA, BORIS = "anna@reader.example", "boris@reader.example"
NEWCOMER_ARTICLES = 5
"""`latest:5` is what a newcomer's first digest holds by default."""
MAIL_SECONDS = 15
FORM_SECONDS = 2.2
"""How long a person needs for the form at least; a faster one is taken for a robot."""


class Tour:
    """One tour through a demo: `walk` is all of it.

    Args:
        demo: entered, and not set up yet.
    """

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._step = demo.checklist.step
        self._newsroom = demo.newsroom
        self._program = demo.program
        self._form = demo.addresses.form
        # Half a day away, so that the scheduler sends nothing until the schedule is edited.
        self._slot = datetime.now(UTC) + timedelta(hours=12)
        self._sent_early = 0
        self._received: dict[str, list[ReceivedMail]] = {ANNA: [], BORIS: []}

    def walk(self) -> None:
        """Go through all steps in order.

        Raises:
            StepFailed: a step did not end as it should; the reason has been printed.
        """
        began = time.monotonic()
        self._demo.set_up(SCHEDULE, ("--cron", self._cron()))
        with self._step("Anna opens the form, enters her address and sends it"):
            self._sign_up_by_form(ANNA)
        with self._step("the confirmation mail arrives: both parts, one link, no pictures"):
            link = self._confirmation(ANNA)
        with self._step("opening the link changes nothing, as mail scanners open links too"):
            page = self._open_twice(link)
        with self._step("pressing the button makes her a subscriber"):
            self._confirm(page)
            expect("the subscribers after that", self._subscribers(), {ANNA})
        with self._step("Boris signs up for the weekly digest by a bare POST, and confirms"):
            self._sign_up_weekly(BORIS)
        with self._step("the first digest (digest send) has the newest five articles"):
            self._send_early()
            self._expect_digest(ANNA, newest=NEWCOMER_ARTICLES)
        with self._step("three new articles appear in the feed and are taken in"):
            self._publish(3)
        with self._step("schedule edit moves the slot to the next whole minute"):
            self._move_slot()
        with self._step(f"at {self._slot:%H:%M} the scheduler sends what is new, and nothing else"):
            self._expect_digest_of_the_slot()
        with self._step("one more article, one more digest, with nothing that came before"):
            self._publish(1)
            self._send_early()
            self._expect_digest(ANNA, newest=1)
        with self._step("one POST to List-Unsubscribe takes Anna off, without any page"):
            self._leave_by_one_click(ANNA)
        with self._step("with nobody left, the next daily digest is skipped"):
            self._send_to_nobody()
        with self._step("Boris gets his weekly digest (digest send --wait), Anna nothing"):
            self._send_weekly()
        digests = [mail.message for mail in self._demo.mailbox.mails() if mail.is_digest]
        with self._step("digest show and delivery list agree with the inbox, mail by mail"):
            compare_ledger(self._program.ask, digests)
        with self._step("SIGTERM ends mailer run with exit status 0"):
            self._stop()
        count, seconds = len(self._demo.mailbox.mails()), time.monotonic() - began
        self._demo.checklist.say(f"\nEverything worked: {count} mails received, {seconds:.0f} s.")

    # The readers

    def _sign_up_by_form(self, address: str) -> None:
        page = browser.get(f"{self._form}/subscribe/{SLUG}")
        expect("the status of the form's page", page.status, 200)
        form = _only_form(page)
        require("a field called email", "email" in form.fields, form)
        time.sleep(FORM_SECONDS)
        answer = browser.post(form.action, {**form.fields, "email": address})
        expect("the status of the answer", answer.status, 200)
        require("a page that says to look into the inbox", "inbox" in answer.body, answer.body)

    def _confirmation(self, address: str) -> str:
        """Check the confirmation mail and return the link that it carries."""
        mail = self._mail_to(address, "a confirmation mail", lambda mail: not mail.is_digest)
        require("a text part and an HTML part", bool(mail.text and mail.html), mail.subject)
        for links in (mail.links(), mail.text_links()):
            confirm = {link for link in links if link.startswith(f"{self._form}/confirm/")}
            not_me = {link for link in links if link.startswith(f"{self._form}/not-me/")}
            require("one link to confirm in each part", len(confirm) == 1, links)
            require("one link for 'it was not me'", len(not_me) == 1, links)
        expect("pictures in a confirmation", mail.images(), [])
        expect("links in only one part", set(mail.text_links()) ^ set(mail.links()), set())
        return confirm.pop()

    def _open_twice(self, link: str) -> PageAnswer:
        for _ in range(2):
            page = browser.get(link)
            expect("the status of the page behind the link", page.status, 200)
        expect("subscribers after opening the link", self._subscribers(), set())
        return page

    def _confirm(self, page: PageAnswer) -> None:
        form = _only_form(page)
        answer = browser.post(form.action, form.fields)
        expect("the status after pressing the button", answer.status, 200)

    def _sign_up_weekly(self, address: str) -> None:
        fields = {"email": address, "newsletter": SLUG, "schedule": WEEKLY}
        answer = browser.post(f"{self._form}/subscribe", fields)
        expect("the status of the answer", answer.status, 200)
        self._confirm(browser.get(self._confirmation(address)))

    def _leave_by_one_click(self, address: str) -> None:
        target = self._received[address][-1].one_click or ""
        require("a one-click address", target.startswith(f"{self._form}/unsubscribe/"), target)
        answer = browser.post(target, {"List-Unsubscribe": "One-Click"})
        expect("the status of the answer", answer.status, 200)

    def _subscribers(self) -> set[str]:
        return {row["address"] for row in self._program.ask("subscriber", "list")}

    # The digests

    def _publish(self, count: int) -> None:
        for _ in range(count):
            self._newsroom.publish(datetime.now(UTC))
        (refreshed,) = self._program.ask("feed", "refresh")
        # The scheduler reads the feed as well, so what is new to this command may be fewer.
        taken = sum(refreshed[key] for key in ("new", "updated", "unchanged"))
        expect("articles read from the feed", taken, len(self._newsroom.articles()))

    def _cron(self) -> str:
        return f"{self._slot.minute} {self._slot.hour} * * *"

    def _move_slot(self) -> None:
        # Cron knows whole minutes only; the command itself needs a few seconds of this one.
        self._slot = (datetime.now(UTC) + timedelta(seconds=65)).replace(second=0, microsecond=0)
        self._program.run("schedule", "edit", DAILY, "--cron", self._cron())

    def _expect_digest_of_the_slot(self) -> None:
        """Do nothing until the slot, and expect its digest all the same."""
        time.sleep(max(0.0, (self._slot - datetime.now(UTC)).total_seconds()))
        mail = self._expect_digest(ANNA, newest=len(self._newsroom.articles()) - BACKLOG)
        digest = self._program.ask("digest", "show", str(mail.header("X-Mailer-Digest")))
        expect("the slot of the digest that came", digest["slot"], f"{self._slot:%Y-%m-%dT%H:%M}")

    def _send_early(self) -> dict[str, Any]:
        """Send the digest of a later day's slot now; a day has one digest, so each takes another."""
        self._sent_early += 2
        slot = self._slot + timedelta(days=self._sent_early)
        digest = self._program.ask("digest", "send", DAILY, "--slot", f"{slot:%Y-%m-%dT%H:%M}")
        return dict(digest)

    def _send_to_nobody(self) -> None:
        before = len(self._demo.mailbox.mails())
        self._publish(1)
        digest = self._send_early()
        expect("the status of a digest that nobody is due", digest["status"], "skipped")
        expect("mails that it caused", len(self._demo.mailbox.mails()) - before, 0)

    def _send_weekly(self) -> None:
        digest = self._program.ask("digest", "send", WEEKLY, "--wait")
        expect("the status of the weekly digest", digest["status"], "sent")
        published = len(self._newsroom.articles()) - BACKLOG
        self._expect_digest(BORIS, newest=published + NEWCOMER_ARTICLES)
        inbox = self._demo.mailbox.mails()
        count = sum(mail.is_digest and mail.recipient == ANNA for mail in inbox)
        expect("digests to Anna, who has left", count, len(self._received[ANNA]))

    def _expect_digest(self, address: str, newest: int) -> ReceivedMail:
        """Wait for the reader's next digest and check which articles it has, in both parts."""
        received = self._received[address]
        last = received[-1].number if received else 0
        mail = self._mail_to(
            address, "a digest", lambda mail: mail.is_digest and mail.number > last
        )
        articles = self._articles(mail.links())
        expected = [self._newsroom.address(article) for article in self._newsroom.articles()]
        expect("articles of the HTML part", sorted(articles), sorted(expected[:newest]))
        expect("articles of the text part", self._articles(mail.text_links()), articles)
        require("a one-click address", mail.one_click is not None, mail.message.keys())
        earlier = {article for digest in received for article in self._articles(digest.links())}
        expect("articles that this reader had before", earlier & set(articles), set())
        received.append(mail)
        return mail

    def _articles(self, links: list[str]) -> list[str]:
        """Return the article addresses among `links`, each once, in order."""
        news = f"{self._newsroom.origin}/news/"
        return list(dict.fromkeys(link for link in links if link.startswith(news)))

    def _mail_to(
        self, address: str, what: str, wanted: Callable[[ReceivedMail], bool]
    ) -> ReceivedMail:
        mail = self._demo.mailbox.wait(
            lambda mail: mail.recipient == address and wanted(mail), seconds=MAIL_SECONDS
        )
        if mail is None:
            inbox = [(mail.recipient, mail.subject) for mail in self._demo.mailbox.mails()]
            raise Mismatch(
                f"expected {what} to {address} within {MAIL_SECONDS} s\nseen: {inbox!r}\n"
                f"{self._program.log_tail()}"
            )
        return mail

    def _stop(self) -> None:
        status, seconds = self._program.stop()
        if status != 0:
            raise Mismatch(
                f"expected exit status 0\nseen: {status} after {seconds:.1f} s\n"
                f"{self._program.log_tail()}"
            )


def compare_ledger(ask: Callable[..., Any], digests: Iterable[EmailMessage]) -> None:
    """Compare what the mailer says it has sent with the digests that have arrived.

    Args:
        ask: types a command of the mailer and returns the JSON that it printed.
        digests: all that came from this installation.

    Raises:
        Mismatch: they differ, a reader got a digest twice, or a digest's figures do not add up.
    """
    received = [
        (str(mail["X-Mailer-Digest"]), str(mail["X-Mailer-Delivery"]), str(mail["To"]))
        for mail in digests
    ]
    expect("deliveries that came twice", len(received) - len(set(received)), 0)
    sent = {
        (str(row["digest"]), str(row["id"]), row["address"])
        for row in ask("delivery", "list", "--status", "sent")
    }
    expect("what the ledger says was delivered", sent, set(received))
    of_digest = Counter(number for number, _, _ in received)
    for row in ask("digest", "list"):
        digest = ask("digest", "show", str(row["id"]))
        counts = dict(digest["deliveries"])
        name = f"deliveries of digest {row['id']}"
        total = counts.pop("total")
        expect(f"the sum of the {name}", sum(counts.values()), total)
        expect(f"sent {name}", counts["sent"], of_digest[str(row["id"])])
        expect(f"{name} that were in doubt", digest["in_doubt"], 0)


def _only_form(page: PageAnswer) -> HtmlForm:
    forms = [form for form in browser.forms(page) if form.method == "post"]
    require("one form to send", len(forms) == 1, forms)
    return forms[0]
