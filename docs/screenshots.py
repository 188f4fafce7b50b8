"""Draw the pictures of README and docs: `.venv/bin/python docs/screenshots.py`.

Renders the sample newsroom's articles, and some in Armenian and Arabic, as digests, one as staff review it,
and the notice that asks for confirmation; takes the form from a real server. Needs Debian's chromium;
touches no network but loopback.
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
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route, sync_playwright

from mailer.demo.articles import NEWSPAPER, load_articles
from mailer.demo.servers import bind, port_of
from mailer.demo.static import PICTURES
from mailer.digests.build.render import Story, render_edition
from mailer.digests.schedules.calendar import Slot
from mailer.digests.staff_mail.review import with_review_header
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.reader_fields import ReaderField, field_word
from mailer.models import NoticeKind
from mailer.notices.notice import render_notice
from mailer.sending.composer import greeting
from mailer.templating.templates import Templates

IMAGES = Path(__file__).resolve().parent / "images"
SITE = "https://gazette.example"
BASE_URL = "https://mail.gazette.example"
LOOK = Look(
    slug="gazette",
    title=NEWSPAPER,
    language="en",
    from_name=NEWSPAPER,
    from_address="news@gazette.example",
    reply_to=None,
    postal_address="1 Quay Street, Merrowhaven",
    logo_url=None,
    color="#14507a",
    publisher=NEWSPAPER,
)
PAPERS = {
    "en": (NEWSPAPER, LOOK.postal_address),
    "hy": ("Նավահանգստի լրատու", "Նավամատույցի փողոց 1, Երևան"),
    "ar": ("جريدة الميناء", "شارع الرصيف 1"),
}
NEWS = {
    "hy": (
        (
            "Հին փարոսը կրկին կվառվի 31 մութ ձմեռից հետո",
            "Կամավորները ձեռքով վերակառուցել են լապտերի սենյակը։ Ուրբաթ օրը լույսը նորից կպտտվի։",
            "Անի Հարությունյան",
            "lighthouse",
        ),
        (
            "Ավագանին այսօր քվեարկում է. լաստանավն անվճա՞ր կլինի աշակերտների համար",
            "Ամեն առավոտ վաթսունչորս աշակերտ է անցնում նեղուցը։",
            "Տիգրան Սարգսյան",
            "ferry",
        ),
        (
            "Հացթուխը, որ արթնանում է երեքին",
            "Հիվանդանոցի գիշերային հերթափոխի կեսն այստեղից է հաց գնում։",
            "Նարե Գրիգորյան",
            "street",
        ),
    ),
    "ar": (
        (
            "المنارة القديمة تُضاء من جديد بعد 31 شتاءً مظلمًا",
            "أعاد متطوعون بناء غرفة المصباح بأيديهم، ويدور الضوء من جديد فوق رأس النورس مساء الجمعة.",
            "إيناس كالواي",
            "lighthouse",
        ),
        (
            "المجلس يصوّت الليلة: هل تصبح العبّارة مجانية للتلاميذ؟",
            "يعبر أربعة وستون تلميذًا المضيق كل صباح.",
            "توماس رن",
            "ferry",
        ),
        (
            "المخبز الذي يستيقظ في الثالثة",
            "نصف مناوبة المستشفى الليلية تشتري خبزها من هنا.",
            "نور حداد",
            "street",
        ),
    ),
}
READERS = {"en": "Anna", "hy": "Աննա", "ar": "آنا"}
FIELDS = {
    ReaderField.UNSUBSCRIBE: f"{BASE_URL}/unsubscribe/token",
    ReaderField.CONFIRM: f"{BASE_URL}/confirm/token",
    ReaderField.NOTME: f"{BASE_URL}/not-me/token",
    ReaderField.PREFERENCES: f"{BASE_URL}/preferences/token",
    ReaderField.STOP: f"{BASE_URL}/review/token",
    ReaderField.SEND: f"{BASE_URL}/review/token",
}
NUMBERS = {
    "schedule": "gazette/daily",
    "at": "07:00",
    "date": date(2026, 11, 24),
    "zone": "Europe/Paris",
    "readers": 12840,
    "editions": 1,
    "excluded": 17,
    "carried_over": 4,
    "expiring": 0,
}
"""What the plan of the reviewed digest says."""
DUE_AT = datetime(2026, 11, 24, 7, tzinfo=UTC)
SATURDAYS = ("--at", "09:00", "--days", "sat")
DESKTOP, PHONE = (680, 1120), (360, 1040)
NOTICE = (680, 700)


def digest(language: str = "en") -> Content:
    """A digest of the sample newsroom's first articles, or of those in another language."""
    stories = [
        Story(
            id=number,
            title=title,
            url=f"{SITE}/news/{number}",
            summary_html=f"<p>{summary}</p>",
            author=author,
            image_url=f"{SITE}/{picture}.png" if picture else None,
            published_at=datetime(2026, 11, 24, 5, tzinfo=UTC),
        )
        for number, (title, summary, author, picture) in enumerate(news(language))
    ]
    name, place = PAPERS[language]
    return render_edition(
        Templates(),
        replace(LOOK, language=language, title=name, publisher=name, postal_address=place),
        Slot(DUE_AT, "2026-11-24T07:00", DUE_AT),
        stories,
        more_count=4,
        edits=None,
        base_url=BASE_URL,
        random=secrets.token_bytes,
    )


def news(language: str) -> list[tuple[str, str, str, str | None]]:
    """Title, beginning, author and picture of articles."""
    if language != "en":
        return list(NEWS[language])
    return [(one.title, one.summary, one.author, one.picture) for one in load_articles()[:5]]


def confirmation() -> Content:
    """The notice that asks whether a sign-up was meant."""
    tells = {"titles": [NEWSPAPER], "expires_on": date(2026, 12, 1)}
    return render_notice(
        Templates(), NoticeKind.CONFIRMATION, LOOK, "en", tells, secrets.token_bytes
    )


def page_of(content: Content) -> str:
    """The HTML of a mail as its reader gets it."""
    html = content.html
    said = greeting(Templates(), content.language, READERS[content.language])
    fields = FIELDS | {ReaderField.GREETING: said}
    for name, value in fields.items():
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
                *("newsletter", "add", "gazette", "--title", NEWSPAPER),
                *("--from", f"{NEWSPAPER} <news@gazette.example>"),
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
    deadline = time.monotonic() + 120
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
    # The beginning of a mail is enough, and keeps the files small.
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def _picture(route: Route) -> None:
    name = Path(urlsplit(route.request.url).path).name
    route.fulfill(path=PICTURES / name)


def main() -> None:
    """Draw all pictures."""
    IMAGES.mkdir(exist_ok=True)
    mail, armenian, arabic = (page_of(digest(language)) for language in ("en", "hy", "ar"))
    with sync_playwright() as playwright, server() as url:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        shoot(browser, "digest", mail, DESKTOP, dark=False)
        shoot(browser, "digest-dark", mail, DESKTOP, dark=True)
        shoot(browser, "digest-phone", mail, PHONE, dark=False)
        shoot(browser, "digest-armenian", armenian, PHONE, dark=False)
        shoot(browser, "digest-arabic", arabic, PHONE, dark=True)
        shoot(browser, "confirmation", page_of(confirmation()), NOTICE, dark=False)
        review = with_review_header(digest(), Templates(), LOOK, NUMBERS)
        shoot(browser, "review", page_of(review), NOTICE, dark=False)
        shoot(browser, "form", f"{url}/subscribe/gazette", NOTICE, dark=False)
        browser.close()


if __name__ == "__main__":
    main()
