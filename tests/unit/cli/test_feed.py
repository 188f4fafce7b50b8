"""`mailer feed` at a site that says it has moved to another host: nothing moves until staff accept."""

import json
from functools import partial

import pytest

from mailer.feeds import context
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
