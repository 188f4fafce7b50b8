"""The demo's own pages in a real browser: looks, keyboard, sandbox, and what comes in by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.demo_pages import DemoPages, opened

pytestmark = pytest.mark.needs_chromium


@pytest.fixture
def demo() -> Iterator[DemoPages]:
    with opened(timedelta(seconds=50)) as pages:
        yield pages


def deliver(demo: DemoPages, subject: str = "News", head: str = "", body: str = "") -> None:
    start = f'<!doctype html><html lang="en"><head><title>News</title>{head}</head>'
    page = f"{start}<body><h1>News</h1>{body}</body></html>"
    demo.deliver(subject, page, f"Confirm: {demo.addresses.form}/confirm/t\n")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    yield context.new_page()
    context.close()


PAGES = (
    "pages:/",
    "pages:/inbox",
    "pages:/inbox/1",
    "pages:/inbox/1?view=text",
    "pages:/inbox/1?view=source",
    "pages:/inbox/1?view=headers",
    "newspaper:/",
    "newspaper:/news/council-votes-on-ferry-fares",
)


def address(demo: DemoPages, name: str) -> str:
    part, _, path = name.partition(":")
    return f"{demo.addresses.pages if part == 'pages' else demo.addresses.newspaper}{path}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 320])
def test_pages_fit_and_are_accessible(
    demo: DemoPages, browser: Browser, width: int, scheme: str
) -> None:
    deliver(demo, subject="A long subject, " + "and on and on " * 8)
    context = browser.new_context(viewport={"width": width, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for name in PAGES:
        page.goto(address(demo, name))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    assert complaints == []
    context.close()


def test_a_mail_can_only_be_looked_at(demo: DemoPages, page: Page) -> None:
    picture = demo.newsroom.picture_address(demo.newsroom.articles()[-1])
    deliver(
        demo,
        head="<script>document.title = 'changed'</script>",
        body=f'<img id="ours" src="{picture}" alt=""><img id="foreign" '
        f'src="{demo.addresses.form}/pixel.png" alt="">',
    )
    page.goto(f"{demo.addresses.pages}/inbox/1")
    mail = page.frame_locator("iframe")
    expect(mail.locator("#ours")).to_be_visible()
    page.wait_for_function("document.querySelector('iframe').contentDocument === null")
    assert mail.locator("#ours").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert mail.locator("#foreign").evaluate("image => image.naturalWidth") == 0
    assert mail.locator("h1").evaluate("() => document.title") == "News"
    assert demo.posted == []


def test_links_of_a_mail_open_in_a_tab_where_forms_work(demo: DemoPages, page: Page) -> None:
    deliver(demo, body=f'<a href="{demo.addresses.newspaper}/">Read</a>')
    page.goto(f"{demo.addresses.pages}/inbox/1")
    with page.expect_popup() as opened:
        page.frame_locator("iframe").get_by_role("link", name="Read").click()
    tab = opened.value
    tab.get_by_label("Your e-mail address").fill("anna@reader.example")
    tab.get_by_role("button", name="Subscribe").click()
    expect(tab).to_have_title("The form's page")
    assert demo.posted == [{"path": "/subscribe", "email": "anna@reader.example"}]


def test_links_of_the_text_part_open_as_well(demo: DemoPages, page: Page) -> None:
    deliver(demo)
    page.goto(f"{demo.addresses.pages}/inbox/1?view=text")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="/confirm/t").click()
    expect(opened.value).to_have_title("The form's page")


def test_the_button_beside_the_sender_is_the_one_click_of_mail_programs(
    demo: DemoPages, page: Page
) -> None:
    deliver(demo)
    page.goto(f"{demo.addresses.pages}/inbox/1")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Unsubscribe").click()
    expect(opened.value).to_have_title("The form's page")
    assert demo.posted == [{"path": "/unsubscribe/t", "List-Unsubscribe": "One-Click"}]


def test_new_mail_comes_in_by_itself_and_leaves_the_open_one_alone(
    demo: DemoPages, page: Page
) -> None:
    deliver(demo, subject="First")
    page.goto(f"{demo.addresses.pages}/inbox/1")
    page.evaluate("window.untouched = document.querySelector('iframe')")
    deliver(demo, subject="Second")
    expect(page.get_by_role("link", name="Second")).to_be_visible()
    assert page.evaluate("window.untouched === document.querySelector('iframe')")


def test_the_start_page_counts_along(demo: DemoPages, page: Page) -> None:
    page.goto(f"{demo.addresses.pages}/")
    countdown = page.locator(".countdown b")
    first = countdown.inner_text()
    expect(countdown).not_to_have_text(first)
    article = demo.newsroom.publish(datetime.now(UTC))
    expect(page.get_by_role("link", name=article.title)).to_be_visible()


def test_without_script_the_inbox_reloads_itself(demo: DemoPages, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{demo.addresses.pages}/inbox")
    deliver(demo, subject="Without script")
    expect(page.get_by_role("link", name="Without script")).to_be_visible()
    context.close()


def test_a_mail_is_opened_and_its_views_changed_by_keyboard(demo: DemoPages, page: Page) -> None:
    deliver(demo, subject="By keyboard")
    page.goto(f"{demo.addresses.pages}/inbox")
    page.get_by_role("link", name="By keyboard").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By keyboard")).to_be_visible()
    page.get_by_role("link", name="Source").focus()
    page.keyboard.press("Enter")
    expect(page.locator("pre.source")).to_contain_text("Subject: By keyboard")


def test_on_a_phone_a_mail_takes_the_whole_page_and_leads_back(
    demo: DemoPages, browser: Browser
) -> None:
    deliver(demo, subject="On a phone")
    context = browser.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.goto(f"{demo.addresses.pages}/inbox")
    page.get_by_role("link", name="On a phone").click()
    expect(page.get_by_role("navigation", name="Received mails")).to_be_hidden()
    page.get_by_role("link", name="All mails").click()
    expect(page.get_by_role("link", name="On a phone")).to_be_visible()
    context.close()


def test_a_mail_is_shown_as_wide_as_a_phone(demo: DemoPages, page: Page) -> None:
    deliver(demo)
    page.goto(f"{demo.addresses.pages}/inbox/1")
    page.get_by_role("link", name="Phone").click()
    box = page.locator("iframe").bounding_box()
    assert box is not None
    assert box["width"] == 360
