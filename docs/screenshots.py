"""Draw the pictures of README and docs: `.venv/bin/python docs/screenshots.py`.

Renders the sample newsroom's articles as a digest and the notice that asks for confirmation, and takes
the form from a real server. Needs Debian's chromium; touches no network but loopback.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route, sync_playwright

from mailer.delivery.notice import render_notice
from mailer.demo.pictures import draw
from mailer.demo.servers import bind, port_of
from mailer.demo.stories import PAPER, load_stories
from mailer.digests.render import Piece, render_edition
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.marker import ReaderField, field_word
from mailer.models import NoticeKind
from mailer.templating import Templates

IMAGES = Path(__file__).resolve().parent / "images"
SITE = "https://gazette.example"
BASE_URL = "https://mail.gazette.example"
LOOK = Look(
    slug="gazette",
    title=PAPER,
    language="en",
    from_name=PAPER,
    from_address="news@gazette.example",
    reply_to=None,
    postal_address="1 Quay Street, Merrowhaven",
    logo_url=None,
    color="#14507a",
    publisher=PAPER,
)
FIELDS = {
    ReaderField.GREETING: "Hello Anna,",
    ReaderField.UNSUBSCRIBE: f"{BASE_URL}/unsubscribe/token",
    ReaderField.CONFIRM: f"{BASE_URL}/confirm/token",
    ReaderField.NOTME: f"{BASE_URL}/not-me/token",
    ReaderField.PREFERENCES: f"{BASE_URL}/preferences/token",
}
SATURDAYS = ("--at", "09:00", "--days", "sat")
DESKTOP, PHONE = (720, 900), (320, 640)


def digest() -> Content:
    """A digest of the sample newsroom's first articles."""
    pieces = [
        Piece(
            article_id=number,
            title=story.title,
            url=f"{SITE}/news/{story.slug}",
            summary_html=f"<p>{story.summary}</p>",
            author=story.author,
            image_url=f"{SITE}/{story.scene}.png" if story.scene else None,
            published_at=datetime(2026, 11, 24, 5, tzinfo=UTC),
        )
        for number, story in enumerate(load_stories()[:5])
    ]
    return render_edition(
        Templates(),
        look=LOOK,
        pieces=pieces,
        more_count=4,
        slot_date=date(2026, 11, 24),
        zone=UTC,
        base_url=BASE_URL,
        random=secrets.token_bytes,
    )


def confirmation() -> Content:
    """The notice that asks whether a sign-up was meant."""
    tells = {"titles": [PAPER], "expires_on": date(2026, 12, 1)}
    return render_notice(
        Templates(), NoticeKind.CONFIRMATION, LOOK, "en", tells, secrets.token_bytes
    )


def page_of(content: Content) -> str:
    """The HTML of a mail as its reader gets it."""
    html = content.html
    for name, value in FIELDS.items():
        html = html.replace(field_word(content.marker, name), value)
    return html


@contextmanager
def server() -> Iterator[str]:
    """The web role with one newsletter on offer; gives its address."""
    with bind(0) as free:
        port = port_of(free)
    with tempfile.TemporaryDirectory() as folder:

        def start(*words: str) -> "subprocess.Popen[bytes]":
            environment = {"PATH": os.environ["PATH"], "MAILER_PORT": str(port)}
            return subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "mailer", *words],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
            )

        for command in (
            ["init"],
            [
                *("newsletter", "add", "gazette", "--title", PAPER),
                *("--from", f"{PAPER} <news@gazette.example>"),
                *("--postal-address", LOOK.postal_address, "--color", LOOK.color),
            ],
            ["schedule", "add", "gazette", "daily", "--at", "07:00", "--zone", "UTC"],
            ["schedule", "add", "gazette", "weekly", *SATURDAYS, "--zone", "UTC"],
        ):
            if start(*command).wait() != 0:
                sys.exit(f"mailer {' '.join(command)} failed")
        web = start("run", "web")
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/healthz")
            yield url
        finally:
            web.terminate()
            web.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def shoot(browser: Browser, name: str, what: str, size: tuple[int, int], *, dark: bool) -> None:
    """Take a picture of a page, given as an address or as HTML."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
    )
    if what.startswith("http"):
        page.goto(what)
    else:
        page.route(f"{SITE}/*.png", _picture)
        page.set_content(what, wait_until="networkidle")
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
    page.close()


def _picture(route: Route) -> None:
    scene = Path(urlsplit(route.request.url).path).stem
    route.fulfill(body=draw(scene, scene), content_type="image/png")


def main() -> None:
    """Draw all pictures."""
    IMAGES.mkdir(exist_ok=True)
    mail = page_of(digest())
    with sync_playwright() as playwright, server() as url:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        shoot(browser, "digest", mail, DESKTOP, dark=False)
        shoot(browser, "digest-dark", mail, DESKTOP, dark=True)
        shoot(browser, "digest-phone", mail, PHONE, dark=False)
        shoot(browser, "confirmation", page_of(confirmation()), DESKTOP, dark=False)
        shoot(browser, "form", f"{url}/subscribe/gazette", DESKTOP, dark=False)
        browser.close()


if __name__ == "__main__":
    main()
