"""Finds the feeds that a web page names, so that staff may give a site's front page. Pure.

Reads a stranger's page as text, and only its beginning.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.markup import PAGE, elements, without

_LONGEST_PAGE: Final = 500_000
_MOST_LINKS: Final = 500
_TYPES: Final = frozenset({"application/rss+xml", "application/atom+xml", "application/feed+json"})

_LINK = re.compile(r"<link(?=[\s/>])", re.IGNORECASE)
_BASE = re.compile(r"<base(?=[\s/>])", re.IGNORECASE)
_COMMENTS = re.compile(r"\bcomments\b", re.IGNORECASE)


def feeds_of(page: str, url: str) -> list[str]:
    """Return the addresses of the feeds that a page names; those of comments only if there is no other.

    Args:
        page: its HTML; anything else names no feed.
        url: where it came from.
    """
    text = without(page[:_LONGEST_PAGE], "<script", "</script>")
    if PAGE.search(text) is None:
        return []
    for attributes in elements(text, _BASE, most=1):
        url = absolute_url(attributes.get("href", ""), url) or url
    articles: dict[str, None] = {}
    comments: dict[str, None] = {}
    for attributes in elements(text, _LINK, most=_MOST_LINKS):
        kind = attributes.get("type", "").partition(";")[0].strip().lower()
        address = absolute_url(attributes.get("href", ""), url)
        is_alternate = "alternate" in attributes.get("rel", "").lower().split()
        if is_alternate and kind in _TYPES and address is not None:
            has_comments = _has_comments(address, attributes.get("title", ""))
            (comments if has_comments else articles)[address] = None
    return list(articles or comments)


def _has_comments(address: str, title: str) -> bool:
    """Tell whether a feed has readers' comments, by its title or by WordPress's addresses for such feeds."""
    parts = urlsplit(address)
    return (
        _COMMENTS.search(title) is not None
        or "comments" in parts.path.lower().split("/")
        or any(value.startswith("comments-") for _, value in parse_qsl(parts.query))
    )
