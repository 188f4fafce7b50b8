import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection

import pytest

from mailer.demo.browser import get
from tests.support.demo_pages import DemoPages, opened


@pytest.fixture
def demo() -> Iterator[DemoPages]:
    with opened(timedelta(seconds=75)) as pages:
        yield pages


def deliver(
    demo: DemoPages, html: str | None = "<html><head></head><body><p>Hi</p></body></html>"
) -> None:
    demo.deliver("<b>News</b> & more", html, "Hello <you>\n")


def test_the_front_page_has_all_articles_and_the_form_that_was_printed(demo: DemoPages) -> None:
    page = get(f"{demo.addresses.newspaper}/")
    assert page.status == 200
    for article in demo.newsroom.articles():
        assert f"/news/{article.slug}" in page.body
    assert demo.embed in page.body
    assert f"form-action 'self' {demo.addresses.form}" in page.headers["content-security-policy"]


def test_every_article_that_is_out_and_its_picture_are_served_and_no_other(demo: DemoPages) -> None:
    for article in demo.newsroom.articles():
        assert get(demo.newsroom.address(article)).status == 200
        picture = demo.newsroom.picture_address(article)
        if picture:
            assert get(picture).headers["content-type"] == "image/png"
    assert get(f"{demo.addresses.newspaper}/news/north-pier-will-be-rebuilt").status == 404
    assert get(f"{demo.addresses.newspaper}/pictures/nothing.png").status == 404


def conditional_get(demo: DemoPages, tag: str) -> int:
    connection = HTTPConnection("127.0.0.1", int(demo.addresses.newspaper.rpartition(":")[2]))
    connection.request("GET", "/feed.xml", headers={"If-None-Match": tag})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_feed_answers_304_until_something_new_is_out(demo: DemoPages) -> None:
    feed = get(f"{demo.addresses.newspaper}/feed.xml")
    assert feed.headers["content-type"].startswith("application/rss+xml")
    assert conditional_get(demo, feed.headers["etag"]) == 304
    demo.newsroom.publish(datetime.now(UTC))
    assert conditional_get(demo, feed.headers["etag"]) == 200


def test_the_start_page_links_everything_and_counts_down(demo: DemoPages) -> None:
    page = get(f"{demo.addresses.pages}/").body
    for address in (
        f"{demo.addresses.form}/",
        f"{demo.addresses.newspaper}/",
        f"{demo.addresses.newspaper}/feed.xml",
        "/inbox",
    ):
        assert f'href="{address}"' in page
    assert "mailer init" in page
    assert re.search(r'data-form="clock">01:1[45]<', page)


def test_an_empty_inbox_says_what_to_do(demo: DemoPages) -> None:
    page = get(f"{demo.addresses.pages}/inbox")
    assert page.status == 200
    assert "No mail yet" in page.body


def test_the_inbox_shows_every_view_of_a_mail_and_escapes_what_it_says(demo: DemoPages) -> None:
    deliver(demo)
    mail = f"{demo.addresses.pages}/inbox/1"
    html, text, source, headers = (
        get(f"{mail}?view={view}").body for view in ("html", "text", "source", "headers")
    )
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in html
    assert f'action="{demo.addresses.form}/unsubscribe/t"' in html
    assert "Hello &lt;you&gt;" in text
    assert "MIME-Version: 1.0" in source
    assert "bounce@gazette.example" in headers
    for page in (html, text, source, headers):
        assert "<b>News</b>" not in page
    assert get(f"{mail}?view=other").status == 404
    assert get(f"{demo.addresses.pages}/inbox/2").status == 404


def test_a_mails_html_comes_with_a_policy_that_only_lets_it_be_looked_at(demo: DemoPages) -> None:
    deliver(demo)
    page = get(f"{demo.addresses.pages}/mail/1.html")
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == demo.addresses.newspaper
    assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert "script-src" not in policy
    assert page.body.startswith('<html><head><base target="_blank"></head>')


def test_links_open_outside_the_frame_also_in_a_mail_without_a_head(demo: DemoPages) -> None:
    deliver(demo, "<p>Hi</p>")
    assert get(f"{demo.addresses.pages}/mail/1.html").body.startswith('<base target="_blank"><p>Hi')


def test_a_mail_without_html_says_so(demo: DemoPages) -> None:
    deliver(demo, html=None)
    assert "has no HTML part" in get(f"{demo.addresses.pages}/inbox/1").body
    assert get(f"{demo.addresses.pages}/mail/1.html").status == 404


def test_a_page_can_notice_what_is_new(demo: DemoPages) -> None:
    def version() -> str:
        return str(json.loads(get(f"{demo.addresses.pages}/state").body)["version"])

    seen = [version()]
    deliver(demo)
    seen.append(version())
    demo.newsroom.publish(datetime.now(UTC))
    seen.append(version())
    assert len(set(seen)) == 3


@pytest.mark.parametrize("path", ["/", "/inbox", "/inbox/1", "/inbox/1?view=text"])
def test_pages_run_only_their_own_script(demo: DemoPages, path: str) -> None:
    deliver(demo)
    page = get(demo.addresses.pages + path)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert re.findall(r"<script[^>]*>", page.body) == ['<script src="/pages.js" defer>']
    assert not re.search(r"\son\w+=|\sstyle=", page.body)
