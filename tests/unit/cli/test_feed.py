"""`mailer feed` at a site that has moved: nothing moves and nothing is sent until staff accept or discard."""

import json
from functools import partial

import pytest

from mailer.feeds import context, moved
from mailer.feeds.http.fetch import Fetched, FetchRequest
from tests.support.commands import Ask

URL, ELSEWHERE = "https://a.example/feed?x=1&y=2", "https://b.example/feed"
RSS = b"<rss version='2.0'><channel><title>News</title></channel></rss>"


def fetch(wanted: FetchRequest) -> Fetched:
    """The network's edge."""
    return Fetched(ELSEWHERE, RSS, "application/rss+xml", None, None, ELSEWHERE)


def test_a_feed_that_moved_to_another_host_is_accepted_there(
    newsletter: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "FeedContext", partial(context.FeedContext, fetch=fetch))
    accept = f"`mailer feed accept '{URL}'`"
    code, _, told = newsletter("feed", "add", URL, "--newsletter", "daily")
    assert (code, accept in told) == (0, True)
    code, listed, _ = newsletter("feed", "list")
    assert f"has moved to {ELSEWHERE}: {accept}" in " ".join(listed.split())
    (one,) = json.loads(newsletter("feed", "list", "--json")[1])
    assert (one["url"], one["moved_url"]) == (URL, ELSEWHERE)
    code, _, told = newsletter("feed", "accept", URL)
    assert (code, told) == (0, f"{URL} is fetched at {ELSEWHERE} from now on\n")
    (one,) = json.loads(newsletter("feed", "list", "--json")[1])
    assert (one["url"], one["moved_url"]) == (ELSEWHERE, None)


def test_staff_are_told_if_earlier_entries_that_they_discarded_are_forgotten(
    newsletter: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = iter(("a", "b", "c"))

    def fetch_moved(wanted: FetchRequest) -> Fetched:
        host = next(hosts)
        items = (
            f"<item><title>T{n}</title><link>https://{host}.example/{n}</link></item>"
            for n in range(1, 9)
        )
        body = RSS.replace(b"</channel>", f"{''.join(items)}</channel>".encode())
        return Fetched(wanted.url, body, "application/rss+xml", None, None)

    monkeypatch.setattr(context, "FeedContext", partial(context.FeedContext, fetch=fetch_moved))
    newsletter("feed", "add", URL, "--newsletter", "daily")
    for said in "", f"warning: {URL}: too many were discarded: 4 earlier ones are forgotten":
        _, _, told = newsletter("feed", "refresh")
        assert "8 entries are held" in told
        code, _, told = newsletter("feed", "discard", URL)
        assert (code, told.startswith(said)) == (0, True)
        assert told.endswith("8 entries are ignored for good\n")
        # So twelve have room.
        monkeypatch.setattr(moved, "MOST_HELD", 4000)
