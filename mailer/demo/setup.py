"""Sets the demo up in a temporary folder and takes it down again, whatever happens in between.

What happens in between is in tour.py (`--once`) or interactive.py.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from mailer.demo import browser
from mailer.demo.articles import NEWSPAPER, TOWN
from mailer.demo.checklist import Checklist, Mismatch, expect
from mailer.demo.inbox_pages import Addresses, InboxPages
from mailer.demo.mailbox import Mailbox
from mailer.demo.newspaper import newspaper_app
from mailer.demo.newsroom import Newsroom
from mailer.demo.program import Program
from mailer.demo.servers import HOST, Servers, bind, origin, port_of

SLUG = "gazette"
WEEKLY = f"{SLUG}/weekly"
BACKLOG = 7
"""How many articles are out before the mailer hears of the newsroom."""
READY_SECONDS = 20


class Demo:
    """Everything that one demo consists of. Entering it takes the ports, leaving it ends everything.

    Args:
        checklist: where the steps are printed.
        port: the first of four ports, or None for free ones.
        database_url: another database than a file in the temporary folder.
    """

    def __init__(
        self, checklist: Checklist, port: int | None, database_url: str | None = None
    ) -> None:
        self.checklist = checklist
        self.mailbox = Mailbox()
        self._port = port
        self._database_url = database_url
        self._slots: list[datetime] = []
        self._exits = ExitStack()

    def __enter__(self) -> "Demo":
        """Take the ports and make the folder.

        Raises:
            PortTaken: a port is not free.
        """
        with self._exits as exits:
            ports = [0] * 4 if self._port is None else range(self._port, self._port + 4)
            sockets = [exits.enter_context(bind(port)) for port in ports]
            # The form's port is only held until `mailer run` takes it, so that nothing else does.
            self._form_socket, self._newspaper_socket, self._pages_socket, self._smtp = sockets
            form, newspaper, pages = map(origin, sockets[:3])
            self.addresses = Addresses(form, newspaper, pages, port_of(self._smtp))
            folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="mailer-demo-"))
            self.program = Program(Path(folder), self._database_url)
            exits.callback(self.program.stop)
            self.newsroom = Newsroom(self.addresses.newspaper)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def set_up(self, schedule: str, rule: Sequence[str]) -> None:
        """Go from nothing to a running mailer, a step for each command.

        Args:
            schedule: the name of the default schedule, beside a weekly one.
            rule: its options for `mailer schedule add`, such as ("--cron", "* * * * *").

        Raises:
            StepFailed: a step did not end as it should; the reason has been printed.
        """
        with self.checklist.step("mailer init: settings with fresh keys, and a database"):
            self._init()
        with self.checklist.step("mailer newsletter add: the newsletter and its sign-up form"):
            form_html = self._add_newsletter()
        self._open_newsroom(form_html)
        with self.checklist.step(
            "mailer feed add: the newsroom's RSS feed, fetched once over HTTP"
        ):
            feed = f"{self.addresses.newspaper}/feed.xml"
            added = self.program.ask("feed", "add", feed, "--newsletter", SLUG, "--allow-private")
            expect("articles taken from the feed", added["articles"], BACKLOG)
        with self.checklist.step("mailer schedule add: two schedules, the reader picks one"):
            weekly = ("--at", "07:00", "--days", "sat")
            for name, options in ((schedule, (*rule, "--default")), ("weekly", weekly)):
                self.program.run("schedule", "add", SLUG, name, *options, "--zone", "UTC")
        with self.checklist.step("mailer run: web, scheduler and worker in one process"):
            self._run()

    def next_slot(self, now: datetime) -> datetime | None:
        """Return the first known slot after `now`."""
        return next((slot for slot in self._slots if slot > now), None)

    def learn_slots(self, schedule: str, count: int) -> None:
        """Ask the program for the coming slots of a schedule, for the countdown."""
        slots = self.program.ask("schedule", "next", f"{SLUG}/{schedule}", "--count", str(count))
        self._slots = [datetime.fromisoformat(slot["utc"]) for slot in slots]

    def _init(self) -> None:
        self.program.run("init")
        settings = self.program.folder / "mailer.toml"
        expect("the mode of mailer.toml", f"{settings.stat().st_mode & 0o777:o}", "600")
        self.program.set(
            {
                "base_url": self.addresses.form,
                "port": port_of(self._form_socket),
                "smtp_url": f"smtp://{HOST}:{self.addresses.smtp_port}",
                "ehlo_name": "localhost",
                "feed_interval": "1m",
                "publisher": f"{TOWN} Press",
            }
        )

    def _add_newsletter(self) -> str:
        self.program.run(
            *("newsletter", "add", SLUG),
            *("--title", NEWSPAPER),
            *("--from", f"{NEWSPAPER} <news@gazette.example>"),
            *("--reply-to", "desk@gazette.example"),
            *("--postal-address", f"1 Pier Road, {TOWN}"),
            *("--color", "#a63a2e"),
        )
        return self.program.run("newsletter", "embed", SLUG)

    def _open_newsroom(self, form_html: str) -> None:
        self.newsroom.open_with(BACKLOG, datetime.now(UTC))
        newspaper = newspaper_app(self.newsroom, self.addresses.form, form_html)
        pages = InboxPages(
            self.addresses,
            self.mailbox,
            self.newsroom,
            self.next_slot,
            folder=str(self.program.folder),
            typed=self.program.typed,
        )
        apps = {self._newspaper_socket: newspaper, self._pages_socket: pages.app()}
        servers = Servers(apps, self._smtp, self.mailbox)
        servers.start()
        # The last callback runs first: the mailer, which sends to these servers, must end before them.
        self._exits.callback(servers.stop)
        self._exits.callback(self.program.stop)

    def _run(self) -> None:
        self._form_socket.close()
        self.program.start()
        deadline = time.monotonic() + READY_SECONDS
        while (answer := browser.get(f"{self.addresses.form}/readyz")).status != 200:
            if self.program.exit_status is not None or time.monotonic() > deadline:
                raise Mismatch(
                    f"expected 200 from {answer.url} within {READY_SECONDS} s\n"
                    f"seen: {answer.status} {answer.body[:200]}, "
                    f"exit status {self.program.exit_status}\n{self.program.log_tail()}"
                )
            time.sleep(0.05)
