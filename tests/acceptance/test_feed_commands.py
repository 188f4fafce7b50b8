"""`mailer feed` and `mailer article`, typed as staff type them, against a site on loopback."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Installation, Site
from tests.support.commands import type_command

DATA = Path(__file__).parents[1] / "data" / "feeds"


@pytest.fixture
def newsroom(installation: Installation) -> Installation:
    """An installation with the newsletters `daily` and `weekly`."""
    for slug in ("daily", "weekly"):
        installation.type(
            *("newsletter", "add", slug, "--title", slug.title()),
            *("--from", f"News <{slug}@news.example>", "--postal-address", "1 Sample Street"),
        )
    return installation


def refused(installation: Installation, *arguments: str, status: int = 1) -> str:
    """Type a command that must fail with one line and print nothing on stdout; returns the line."""
    ended = installation.run(*arguments)
    assert ended.returncode == status, ended.stderr
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def titles(found: list[dict[str, Any]]) -> list[str]:
    return [one["title"] for one in found]


def test_from_the_first_feed_to_its_removal(newsroom: Installation, site: Site) -> None:
    site.publish("Old news")
    added = newsroom.ask("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    assert (added["url"], added["articles"], added["warnings"]) == (site.url, 1, [])
    told = newsroom.run("feed", "add", site.url, "--newsletter", "weekly").stderr.splitlines()
    assert told[1:] == [
        "no scheduler is running: start one with `mailer run`",
        "next: mailer schedule add weekly NAME --at 07:00 --zone Europe/Paris",
    ]
    (listed,) = newsroom.ask("feed", "list")
    assert [one["slug"] for one in listed["newsletters"]] == ["daily", "weekly"]
    assert (listed["title"], listed["failures"], listed["error"]) == ("Site", 0, None)

    site.publish("Fresh news")
    (result,) = newsroom.ask("feed", "refresh")
    assert (result["new"], result["error"]) == (1, None)
    newsroom.type("feed", "refresh", site.url)
    fresh, old = newsroom.ask("article", "list")
    assert {"id", "title", "url", "published", "first_seen"} <= fresh.keys()
    assert (fresh["title"], fresh["backlog"]) == ("Fresh news", [])
    assert (old["title"], old["backlog"]) == ("Old news", ["daily", "weekly"])
    assert fresh["id"] > old["id"]
    assert "Fresh news" in newsroom.type("article", "list")
    assert site.url in newsroom.type("feed", "list")

    newsroom.type("feed", "remove", site.url, "--newsletter", "weekly")
    assert newsroom.ask("article", "list", "--newsletter", "weekly") == []
    daily = newsroom.ask("article", "list", "--newsletter", "daily")
    assert titles(daily) == ["Fresh news", "Old news"]
    gone = {"url": site.url, "removed": True, "newsletters": []}
    assert newsroom.ask("feed", "remove", site.url) == gone
    assert newsroom.ask("feed", "list") == []


def test_an_article_by_hand(newsroom: Installation) -> None:
    added = newsroom.ask(
        *("article", "add", "--newsletter", "daily", "--url", "https://news.example/fair"),
        *("--title", "The <b>fair</b>", "--summary", "Rides & <i>cake</i>"),
        *("--published", "2026-11-24T06:00+04:00"),
    )
    assert added["title"] == "The <b>fair</b>"
    assert added["published"] == "2026-11-24T02:00:00Z"
    assert (added["newsletters"], added["backlog"]) == (["daily"], [])
    assert newsroom.ask("article", "list", "--newsletter", "daily", "--unsent") == [added]
    assert newsroom.ask("article", "list", "--newsletter", "weekly") == []


def test_a_feed_that_fails_later_keeps_what_it_had(newsroom: Installation, site: Site) -> None:
    site.publish("Old news")
    newsroom.type("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    site.rss = lambda: b"<html>Down for maintenance</html>"  # type: ignore[method-assign]
    (result,) = newsroom.ask("feed", "refresh", status=1)
    assert "web page" in result["error"]
    (listed,) = newsroom.ask("feed", "list")
    assert (listed["failures"], listed["error"]) == (1, result["error"])
    assert titles(newsroom.ask("article", "list")) == ["Old news"]


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_staff_edits_and_withdraws_articles(newsroom: Installation, site: Site) -> None:
    newsroom.type("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    site.publish("One", "Two")
    newsroom.type("feed", "refresh")
    two, one = sorted(newsroom.ask("article", "list"), key=lambda one: str(one["title"]) < "Two")
    edited = newsroom.ask(
        *("article", "edit", str(one["id"]), "--title", "Our One", "--summary", "<b>S</b>"),
        *("--url", "https://news.example/one", "--image", "https://news.example/one.jpg"),
    )
    assert (edited["title"], edited["url"]) == ("Our One", "https://news.example/one")
    assert (edited["image"], edited["edited"]) == ("https://news.example/one.jpg", True)
    newsroom.type("article", "edit", str(one["id"]), "--image", "")
    newsroom.type("feed", "refresh")
    withdrawn = newsroom.ask("article", "withdraw", str(two["id"]))
    assert withdrawn["withdrawn"]
    newsroom.type("article", "withdraw", str(two["id"]))
    listed = {one["id"]: one for one in newsroom.ask("article", "list", "--unsent")}
    assert listed[one["id"]] == edited | {"image": None}
    assert listed[two["id"]] == withdrawn
    assert "nothing to change" in refused(newsroom, "article", "edit", str(one["id"]))


def moved(number: int) -> bytes:
    """A feed of pieces that look new, but for title and date, on another host than before."""
    host = "old.example" if number == 0 else f"new-{number}.example"
    items = "".join(
        f"<item><title>Piece {n}</title><link>https://{host}/{number}/{n}</link>"
        f"<guid>https://{host}/{number}/{n}</guid>"
        f"<pubDate>Tue, 24 Nov 2020 0{n}:00:00 GMT</pubDate></item>"
        for n in range(6)
    )
    return f"<rss version='2.0'><channel><title>Site</title>{items}</channel></rss>".encode()


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_a_moved_site_is_accepted_or_discarded(newsroom: Installation, site: Site) -> None:
    site.rss = lambda: moved(0)  # type: ignore[method-assign]
    newsroom.type("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    assert "is not held" in refused(newsroom, "feed", "accept", site.url)
    for number, verb in ((1, "accept"), (2, "discard")):
        site.rss = lambda number=number: moved(number)  # type: ignore[method-assign, misc]
        (result,) = newsroom.ask("feed", "refresh")
        assert (result["held"], result["new"]) == (6, 0)
        (listed,) = newsroom.ask("feed", "list")
        assert (listed["held"], listed["held_at"] is None) == (6, False)
        assert f"mailer feed {verb}" in newsroom.type("feed", "list").replace("\n", " ") or (
            "held" in newsroom.type("feed", "list")
        )
        decided = newsroom.ask("feed", verb, site.url)
        assert decided == {"url": site.url} | (
            {"new": 0, "known": 6} if verb == "accept" else {"discarded": 6}
        )
        (result,) = newsroom.ask("feed", "refresh")
        assert (result["held"], result["new"]) == (0, 0)
    assert len(newsroom.ask("article", "list")) == 6
    assert {tuple(one["backlog"]) for one in newsroom.ask("article", "list")} == {("daily",)}


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_a_page_is_no_feed(newsroom: Installation, site: Site) -> None:
    site.rss = lambda: b"<html></html>"  # type: ignore[method-assign]
    told = refused(newsroom, "feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    assert "web page, not a feed" in told
    assert newsroom.ask("feed", "list") == []


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_a_sites_front_page_is_enough(newsroom: Installation, site: Site) -> None:
    def page(*feeds: str) -> bytes:
        links = (f'<link rel="alternate" type="application/rss+xml" href="{url}">' for url in feeds)
        return f"<html>{''.join(links)}</html>".encode()

    front, feed = site.url.replace("/feed", "/"), site.rss()
    options = ("--newsletter", "daily", "--category", "Town & country", "--allow-private")
    site.rss = lambda: page("/feed", "/feed;id")  # type: ignore[method-assign]
    told = refused(newsroom, "feed", "add", front, *options)
    ended = "--newsletter daily --category 'Town & country' --allow-private`"
    assert f"type one of `mailer feed add {site.url} {ended}" in told
    assert f"`mailer feed add '{site.url};id' {ended}" in told
    answers = iter([page("/feed", "/comments/feed/"), feed])
    site.rss = lambda: next(answers)  # type: ignore[method-assign]
    assert newsroom.ask("feed", "add", front, *options)["url"] == site.url


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_bad_usage(installation: Installation) -> None:
    for verb in ("", " add", " add https://a.example/", " accept", " parse", " remove"):
        installation.type(f"feed{verb}", status=2)
    installation.type("feed add https://a.example/ --newsletter daily --images all", status=2)
    for line in ("article edit", "article withdraw first", "article add --title T"):
        installation.type(line, status=2)


def parse(*files: object, status: int = 0) -> Any:
    """`mailer feed parse FILE... --json`, which needs neither settings nor a database."""
    ended = type_command(
        *("feed", "parse", *map(str, files), "--json"),
        folder=Path(__file__).parents[2],
        environment={"PATH": "", "MAILER_CONFIG": "/nowhere/mailer.toml"},
    )
    assert ended.returncode == status, ended.stderr
    return json.loads(ended.stdout) if ended.stdout else ended.stderr


def test_parse_one_file() -> None:
    parsed = parse(DATA / "wordpress.rss")
    assert parsed["title"] == "The Sampletown Post – News & views"
    assert parsed["warnings"] == ["entry 3: no title"]
    assert parsed["entries"][0] == {
        "guid": "https://old-post.example/?p=102",
        "url": "https://post.example/2026/11/budget/",
        "title": "The council’s budget – in “plain” numbers",
        "published": "2026-11-24T07:30:00Z",
        "summary_html": (
            "<p>The council met on Monday and went through the budget line by line […]</p>"
        ),
        "author": "Ada Sample",
        "categories": ["Politics", "Town & country"],
        "image": "https://post.example/uploads/hall.jpg",
    }


def test_parse_many_files_in_their_order(tmp_path: Path) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_bytes(b"\x00\xff")
    paths = [DATA / "atom.xml", bad, tmp_path / "missing.xml", DATA / "feed.json"]
    parsed = parse(*paths)
    assert [one["file"] for one in parsed] == [str(path) for path in paths]
    assert ["error" in one for one in parsed] == [False, True, True, False]
    assert all(one.keys() == {"file", "error"} for one in parsed[1:3])
    both = parse(bad, tmp_path / "missing.xml", status=1)
    assert ["error" in one for one in both] == [True, True]
    ended = type_command("feed", "parse", str(bad), str(paths[2]), folder=tmp_path, environment={})
    told = ended.stderr.splitlines()
    assert told[:2] == [f"{one['file']}: {one['error']}" for one in both]
    assert told[2:] == ["error: none of the 2 files could be read; give files that hold a feed"]


def test_a_file_that_is_no_feed_is_one_line(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html></html>")
    assert parse(page, status=1) == (
        f"error: {page}: this is a web page, not a feed; give the address of the feed itself\n"
    )
