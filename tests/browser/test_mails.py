"""Mails in a real browser: contrast in light and dark, one column at every width, both directions."""

from functools import cache

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

from mailer.demo.static import PICTURES
from mailer.message.content import Content
from tests.support.all_mails import html_of, mails
from tests.support.sample_mails import edition, look, story

pytestmark = pytest.mark.needs_chromium

COLORS = ("#14507a", "#f2c14e", "#ffffff", "#1c1c1e", "#777777", "#e4002b")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
PICTURE = (PICTURES / "ferry.png").read_bytes()


@cache
def by_name(language: str) -> dict[str, Content]:
    """All mails in this language."""
    return {name: content for name, content, _ in mails(language)}


SHAPES = [name.removesuffix(" en") for name in by_name("en")]


def opened(browser: Browser, content: Content, width: int, scheme: str) -> Page:
    """The mail as a mail program shows it, with its pictures."""
    page = browser.new_page(
        viewport={"width": width, "height": 700},
        color_scheme="dark" if scheme == "dark" else "light",
    )

    def picture(route: Route) -> None:
        route.fulfill(body=PICTURE, content_type="image/png")

    page.route("https://**/*", picture)
    page.set_content(html_of(content), wait_until="load")
    return page


def judge(page: Page, name: str) -> None:
    """No finding of axe, and nothing wider than the window."""
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, f"{name}\n{found.generate_report()}"
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{name} is {wide} pixels too wide"


VIEWS = [("en", 320, "dark"), ("hy", 320, "light"), ("ar", 390, "dark"), ("ru", 720, "light")]


# A page takes seconds to judge: each mail is seen in two of the views, and each view by every other mail.
@pytest.mark.parametrize(
    ("shape", "language", "width", "scheme"),
    [
        (shape, *view)
        for number, shape in enumerate(sorted(SHAPES))
        for view in VIEWS[number % 2 :: 2]
    ],
)
def test_every_mail_can_be_read(
    browser: Browser, language: str, width: int, scheme: str, shape: str
) -> None:
    page = opened(browser, by_name(language)[f"{shape} {language}"], width, scheme)
    judge(page, f"{shape} {language} {width} {scheme}")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_whatever_the_newsletters_colour(browser: Browser, scheme: str) -> None:
    stories = [story(n, image_url=f"https://gazette.example/{n}.jpg") for n in (1, 2)]
    for color in COLORS:
        content = edition(*stories, more_count=2, look=look(color=color))
        page = opened(browser, content, 600, scheme)
        judge(page, f"{color} {scheme}")
        page.close()


def test_text_can_be_read_where_outlook_darkens_it(browser: Browser) -> None:
    """Outlook's own attributes stand on an element around the mail."""
    page = opened(browser, edition(story(1), story(2), more_count=2), 600, "light")
    page.evaluate("for (const it of ['ogsc', 'ogsb']) document.documentElement.dataset[it] = ''")
    page.evaluate("document.body.style.backgroundColor = '#101012'")
    judge(page, "Outlook")
    ground = "getComputedStyle(document.querySelector('.sheet')).backgroundColor"
    assert page.evaluate(ground) == "rgb(28, 28, 30)"
    page.close()


def test_small_pictures_stand_at_the_end_of_the_line(browser: Browser) -> None:
    stories = [story(n, image_url=f"https://gazette.example/{n}.jpg") for n in (1, 2)]
    for language, side in (("en", "right"), ("ar", "left")):
        content = edition(*stories, look=look(language=language))
        page = opened(browser, content, 600, "light")
        gap = page.evaluate(
            """side => {
                const box = one => document.querySelector(one).getBoundingClientRect();
                return Math.abs(box(".thumb")[side] - box(".photo")[side]);
            }""",
            side,
        )
        assert gap < 1
        page.close()


def test_a_name_in_other_letters_turns_no_title_around(browser: Browser) -> None:
    titles = ("BBC تنشر تقريرًا عن الميناء", "Port news", "أخبار الميناء")
    stories = [story(n, title=title, summary_html="") for n, title in enumerate(titles)]
    for language, directions in (("ar", ["rtl", "ltr", "rtl"]), ("en", ["rtl", "ltr", "rtl"])):
        page = opened(browser, edition(*stories, look=look(language=language)), 360, "light")
        found = page.evaluate(
            """[...document.querySelectorAll(".title")].map(one => {
                const style = getComputedStyle(one);
                return [style.direction, style.textAlign];
            })"""
        )
        assert [direction for direction, _ in found] == directions
        # All begin at the same edge: that of the language.
        assert {align for _, align in found} == {"right" if language == "ar" else "left"}
        page.close()


def test_pictures_keep_their_shape_or_are_cut_and_are_never_stretched(browser: Browser) -> None:
    stories = [story(n, image_url=f"https://gazette.example/{n}.jpg") for n in (1, 2)]
    for width in (320, 600):
        page = opened(browser, edition(*stories), width, "light")
        photo, thumb = page.evaluate(
            """[".photo", ".thumb"].map(one => {
                const box = document.querySelector(one);
                return [box.clientWidth / box.clientHeight, getComputedStyle(box).objectFit];
            })"""
        )
        # The picture is two to one.
        assert photo[0] == pytest.approx(2, abs=0.02)
        assert thumb == [pytest.approx(1.5, abs=0.02), "cover"]
        page.close()


def test_a_word_of_any_length_fits_a_phone(browser: Browser) -> None:
    word = "Donaudampfschifffahrtsgesellschaftskapitän" * 3
    long = {"title": word, "author": word, "summary_html": f"<p>{word}</p>"}
    stories = [story(n, image_url=f"https://gazette.example/{n}.jpg", **long) for n in (1, 2)]
    paper = look(title=word, publisher=word, postal_address=word)
    page = opened(browser, edition(*stories, more_count=2, look=paper), 320, "light")
    judge(page, "long words")
    page.close()
