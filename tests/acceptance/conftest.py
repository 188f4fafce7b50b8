"""What commands, pages and mails are tested with: one installation, a feed, and a receiver of mail.

Nothing here imports the mailer, but the demo: it is typed, opened and listened to, as its users do.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from mailer.demo import browser
from tests.support.commands import PROCESSES, Ended, own_environment, type_command
from tests.support.http_site import Request, http_site, respond
from tests.support.receiver import Receiver, receiver
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Installation:
    """A folder with settings and a database, in which commands are typed.

    Attributes:
        process: each command is a process of its own.
    """

    folder: Path
    settings: dict[str, str]
    process: bool = PROCESSES

    @property
    def environment(self) -> dict[str, str]:
        own = {f"MAILER_{name.upper()}": text for name, text in self.settings.items()}
        return own_environment() | own

    def run(self, line: str, *arguments: str) -> Ended:
        """Type a command, as a line of a shell and what follows it, and return how it ended."""
        words = (*shlex.split(line), *arguments)
        return type_command(
            *words, folder=self.folder, environment=self.environment, process=self.process
        )

    def type(self, *arguments: str, status: int = 0) -> str:
        """Type a command, check its exit status and return what it printed on stdout."""
        ended = self.run(*arguments)
        assert ended.returncode == status, f"{arguments}: {ended.stdout}{ended.stderr}"
        if status == 1:
            # Commands that say no in their output (`address check`) say nothing else.
            assert ended.stdout or ended.stderr.startswith("error: "), ended.stderr
            assert "Traceback" not in ended.stderr
        return ended.stdout

    def ask(self, *arguments: str, status: int = 0) -> Any:
        """Type a command with --json and return the one document that it printed."""
        return json.loads(self.type(*arguments, "--json", status=status))

    @contextmanager
    def running(self, *roles: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`mailer run` in the background; ended by SIGTERM, and it must end well."""
        with (self.folder / f"run-{'-'.join(roles) or 'all'}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mailer", "run", *roles],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
            process.terminate()
            assert process.wait() == 0, self.log()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def log(self) -> str:
        """What all `mailer run` processes of this installation wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("run-*.log")))


@dataclass(frozen=True)
class Inbox:
    """What a receiver of mail on loopback took, as Python's parser reads it."""

    relay: Receiver

    def to(self, address: str) -> list[EmailMessage]:
        """The mails to `address`, in the order of their arrival."""
        found = []
        for mail in list(self.relay.mails):
            parsed = BytesParser(policy=policy.default).parsebytes(mail.data)
            assert isinstance(parsed, EmailMessage)
            if mail.recipient == address:
                found.append(parsed)
        return found

    def wait_for(self, address: str, count: int) -> list[EmailMessage]:
        """The mails to `address`, as soon as there are `count` of them."""
        wait_until(lambda: len(self.to(address)) >= count)
        return self.to(address)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A receiver of mail that takes everything."""
    with receiver() as relay:
        yield Inbox(relay)


@dataclass
class Site:
    """A newspaper's web site as far as the mailer sees it: one RSS feed."""

    url: str = ""
    articles: list[str] = field(default_factory=list)

    def publish(self, *titles: str) -> None:
        self.articles.extend(titles)

    def address(self, title: str) -> str:
        return f"{self.url.removesuffix('/feed')}/{title.lower().replace(' ', '-')}"

    def rss(self) -> bytes:
        now = format_datetime(datetime.now(UTC))
        items = "".join(
            f"<item><title>{escape(title)}</title><link>{self.address(title)}</link>"
            f"<guid>{self.address(title)}</guid><pubDate>{now}</pubDate>"
            f"<description>About {escape(title)}</description></item>"
            for title in reversed(self.articles)
        )
        return (
            f'<rss version="2.0"><channel><title>Site</title><link>{self.url}</link>'
            f"<description>News</description>{items}</channel></rss>"
        ).encode()


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with a feed and nothing in it yet."""
    site = Site()

    def feed(request: Request) -> None:
        respond(request, 200, site.rss(), Content_Type="application/rss+xml")

    with http_site(feed) as origin:
        site.url = f"{origin}/feed"
        yield site


@pytest.fixture(params=["sqlite", "postgresql"])
def before_init(
    request: pytest.FixtureRequest, fast_folder: Path, inbox: Inbox, free_port: int
) -> Installation:
    """An empty folder with settings, on each engine in turn."""
    settings = {
        "smtp_url": f"smtp://127.0.0.1:{inbox.relay.port}",
        "ehlo_name": "mailer.example",
        "port": str(free_port),
        "base_url": f"http://127.0.0.1:{free_port}",
    }
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgresql_url")
    real = request.node.get_closest_marker("real_processes") is not None
    return Installation(fast_folder, settings, process=PROCESSES or real)


@pytest.fixture
def installation(before_init: Installation) -> Installation:
    """An installation after `mailer init`, on each engine in turn."""
    before_init.type("init")
    return before_init


def open_page(url: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
    """Open a page, or send a form's fields to it; status 0 when nobody answers."""
    answer = browser.get(url) if fields is None else browser.post(url, fields)
    return answer.status, answer.body


@pytest.fixture
def browse() -> Any:
    """`open_page`, for tests in this folder."""
    return open_page
