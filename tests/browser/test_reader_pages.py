"""The readers' pages in a real browser: by keyboard, on a phone, in light and dark, without any script."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Digest, Review, ReviewAct, Schedule, Signup, Subscriber, Subscription
from mailer.tokens import Keys, Purpose
from tests.support import factories
from tests.support.factories import NOW
from tests.support.http_site import Request, http_site, respond
from tests.support.website import Website, serving

pytestmark = pytest.mark.needs_chromium

SHOTS = os.environ.get("SCREENSHOTS")
"""A folder to leave pictures of all pages in, for people to look at."""

VIEWS = [(width, scheme) for width in (320, 1280) for scheme in ("light", "dark")]


@pytest.fixture
def website(sqlite_database: Database, keys: Keys) -> Iterator[Website]:
    """A newspaper with three newsletters, one of them with two schedules."""
    with sqlite_database.write() as session:
        daily = factories.newsletter(session, title="Der tägliche Überblick", color="#b5172f")
        factories.schedule(session, daily)
        factories.schedule(session, daily, "weekend", days="sat,sun", zone="Europe/Paris")
        sport = factories.newsletter(session, "sport", title="Sport", color="#ffd400")
        factories.schedule(session, sport, "evening", at="18:30")
        culture = factories.newsletter(session, "culture", title="Culture and going out in town")
        factories.schedule(session, culture, "monthly", kind="monthday", monthday=1)
    with serving(
        sqlite_database,
        keys,
        publisher="Sampletown Media Cooperative",
        privacy_url="https://news.example/privacy",
    ) as found:
        yield found


def open_pages(website: Website, keys: Keys) -> dict[str, str]:
    """Every kind of page by name."""
    database = website.app.database
    website.post("/subscribe", {"email": "a@example.com", "newsletter": "daily"})
    with database.write() as session:
        signup = session.scalars(select(Signup)).one()
        subscriber = factories.subscriber(session, keys, "r@example.com")
        every = session.scalars(select(Schedule).where(Schedule.is_default).order_by(Schedule.id))
        first, *others = every.all()
        subscription, *_ = [
            factories.subscription(session, subscriber, one) for one in (first, *others)
        ]
        left = factories.reader(session, keys, first, "l@example.com", left_at=NOW)
        review = factories.review(session, first)

    def link(page: str, public_id: int, *expires_at: datetime) -> str:
        purpose = Purpose[page.upper().replace("-", "_")]
        return f"/{page}/{keys.make(purpose, public_id, *expires_at)}"

    return {
        "home": "/",
        "form": "/subscribe/daily",
        "embed": "/embed/daily",
        "confirm": link("confirm", signup.public_id, signup.expires_at),
        "expired": link("confirm", signup.public_id, NOW),
        "not-me": link("not-me", signup.public_id, signup.expires_at),
        "unsubscribe": link("unsubscribe", subscription.public_id),
        "unsubscribed": link("unsubscribe", left.public_id),
        "review-stop": link("review", review.link_id(ReviewAct.STOP), review.expires_at),
        "review-send": link("review", review.link_id(ReviewAct.SEND), review.expires_at),
        "ask": "/preferences",
        "preferences": link("preferences", subscriber.public_id, NOW + timedelta(hours=1)),
        "not-found": "/nowhere",
    }


def own_data(website: Website, keys: Keys) -> dict[str, str]:
    """The pages on which a reader of whom much is held sees and deletes it."""
    with website.app.database.write() as session:
        schedule = session.scalars(select(Schedule).where(Schedule.is_default)).first()
        assert schedule is not None
        address = "a.rather.long.address.of.anna@a-long-domain-of-readers.example"
        person = factories.whole_person(session, keys, schedule, address, name="Anna Muster")
    later = NOW + timedelta(hours=1)
    return {
        "data": website.link(Purpose.DATA, person.public_id, later),
        "erase": website.link(Purpose.ERASE, person.public_id, later),
    }


def look_at(page: Page, name: str, view: str) -> None:
    """No finding of axe, nothing wider than the window; and a picture where one is wanted."""
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name} {view}\n{found.generate_report()}"
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{name} {view} is {wide} pixels too wide"
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}-{view}.png", full_page=True)


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_page_is_accessible_and_fits(
    website: Website, browser: Browser, keys: Keys, width: int, scheme: str
) -> None:
    paths = open_pages(website, keys) | own_data(website, keys)
    context = browser.new_context(
        viewport={"width": width, "height": 700},
        color_scheme="dark" if scheme == "dark" else "light",
        # The policy forbids scripts, and axe is one.
        bypass_csp=True,
    )
    page = context.new_page()
    for name, path in paths.items():
        page.goto(website.url + path)
        look_at(page, name, f"{width}-{scheme}")
    page.goto(f"{website.url}/subscribe/daily")
    page.evaluate("document.querySelector('form').noValidate = true")
    page.get_by_label("Email address").fill("nobody")
    page.get_by_role("button", name="Subscribe").click()
    look_at(page, "error", f"{width}-{scheme}")
    website.pass_time(timedelta(seconds=3))
    page.get_by_label("Email address").fill("new@example.com")
    page.get_by_role("button", name="Subscribe").click()
    look_at(page, "inbox", f"{width}-{scheme}")
    page.goto(website.url + paths["erase"])
    page.get_by_role("button").click()
    look_at(page, "erased", f"{width}-{scheme}")
    page.goto(website.url + paths["confirm"])
    page.get_by_role("button").click()
    look_at(page, "confirmed", f"{width}-{scheme}")
    context.close()


def test_the_whole_way_by_keyboard_without_script(
    website: Website, browser: Browser, keys: Keys
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))

    page.goto(f"{website.url}/subscribe/daily")
    website.pass_time(timedelta(seconds=3))
    keyboard = page.keyboard
    keyboard.press("Tab")
    keyboard.type("new@example.com")
    keyboard.press("Tab")
    keyboard.type("Anna")
    keyboard.press("Tab")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    page.get_by_role("heading", name="Check your inbox").wait_for()

    signup = website.row(select(Signup))
    token = keys.make(Purpose.CONFIRM, signup.public_id, signup.expires_at)
    page.goto(f"{website.url}/confirm/{token}")
    keyboard.press("Tab")
    keyboard.press("Enter")
    page.get_by_role("heading", name="You’re subscribed").wait_for()

    subscriber, subscription = (website.row(select(row)) for row in (Subscriber, Subscription))
    assert subscriber.name == "Anna"
    assert subscription.schedule_id == 2

    token = keys.make(Purpose.PREFERENCES, subscriber.public_id, NOW + timedelta(hours=1))
    page.goto(f"{website.url}/preferences/{token}")
    keyboard.press("Tab")
    keyboard.press("ArrowUp")
    keyboard.press("Tab")
    keyboard.press("Enter")
    page.get_by_text("Your changes have been saved").wait_for()
    assert website.row(select(Subscription.schedule_id)) == 1

    token = keys.make(Purpose.UNSUBSCRIBE, subscription.public_id)
    page.goto(f"{website.url}/unsubscribe/{token}")
    keyboard.press("Tab")
    keyboard.press("Enter")
    page.get_by_role("heading", name="You’ve unsubscribed").wait_for()
    assert website.row(select(Subscription.left_at)) is not None
    # Only the icon that browsers look for by themselves is not there.
    assert [text for text in problems if "404" not in text] == []
    context.close()


def test_an_arabic_newsletter_runs_from_right_to_left_beside_others(
    website: Website, browser: Browser
) -> None:
    with website.app.database.write() as session:
        arabic = factories.newsletter(session, "khabar", title="خبر", language="ar")
        factories.schedule(session, arabic, "daily")
        factories.schedule(session, arabic, "weekly", days="sat")
    page = browser.new_page(locale="en-GB")
    page.goto(website.url)

    def direction(selector: str) -> object:
        return page.locator(selector).evaluate("one => getComputedStyle(one).direction")

    assert direction("#consent-khabar") == "rtl"
    assert direction("#consent-sport") == "ltr"
    assert direction(".option:has(#consent-khabar) select") == "ltr"
    page.close()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_form_works_in_frames_of_the_sites_that_may_and_in_no_others(
    sqlite_database: Database, keys: Keys, browser: Browser, allowed: bool
) -> None:
    with sqlite_database.write() as session:
        factories.schedule(session, factories.newsletter(session))
    article = [""]

    def page_with_frame(request: Request) -> None:
        respond(request, 200, article[0].encode(), Content_Type="text/html")

    with http_site(page_with_frame) as origin:
        settings = {"embed_origins": origin} if allowed else {}
        with serving(sqlite_database, keys, **settings) as website:
            article[0] = f'<h1>Article</h1><iframe src="{website.url}/embed/daily"></iframe>'
            page = browser.new_page()
            page.goto(origin)
            website.pass_time(timedelta(seconds=3))
            frame = page.frame_locator("iframe")
            if allowed:
                frame.get_by_label("Email address").fill("new@example.com")
                frame.get_by_role("button", name="Subscribe").click()
                frame.get_by_role("heading", name="Check your inbox").wait_for()
            else:
                assert frame.get_by_label("Email address").count() == 0
            page.close()
    with sqlite_database.read() as session:
        sources = session.scalars(select(Signup.source)).all()
    assert sources == (["/embed"] if allowed else [])


def test_staff_stop_a_digest_with_one_press(website: Website, browser: Browser, keys: Keys) -> None:
    paths = open_pages(website, keys)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(website.url + paths["review-send"])
    assert page.get_by_role("button").all_inner_texts() == ["Send it now"]
    page.goto(website.url + paths["review-stop"])
    assert website.rows(select(Digest)) == []
    assert website.rows(select(Review.send_asked_at)) == [None]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="This digest has been stopped").wait_for()
    assert page.get_by_role("button").count() == 0
    digest = website.row(select(Digest))
    assert (digest.slot, digest.status) == ("2026-11-24T07:00", "cancelled")
    page.goto(website.url + paths["review-send"])
    page.get_by_role("heading", name="This digest has been stopped").wait_for()
    context.close()


def test_staff_ask_for_a_digest_at_once(website: Website, browser: Browser, keys: Keys) -> None:
    paths = open_pages(website, keys)
    page = browser.new_page()
    page.goto(website.url + paths["review-send"])
    page.get_by_role("button", name="Send it now").click()
    page.get_by_role("heading", name="It will go out in a moment").wait_for()
    assert website.row(select(Review.send_asked_at)) == website.clock[0]
    page.close()
