"""Parses JSON Feed, versions 1 and 1.1. Pure.

Never refuses a feed for a member of a wrong type: such a member counts as missing.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from mailer.errors import FeedUnreadable
from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.dates import read_instant
from mailer.feeds.reading.entry import Document, Entry, FeedWarnings, RawEntry, each_entry, finish
from mailer.feeds.reading.sanitise import clean_text, title_text
from mailer.text.plain_text import as_html

_ITEMS = re.compile(r'"items"\s*:\s*\[')
_HEAD = re.compile(r'"(version|title|home_page_url|feed_url)"\s*:\s*("[^"\\]*")')
_DECODER: Final = json.JSONDecoder(strict=False)


def read_json(text: str, base_url: str | None, now: datetime, warn: FeedWarnings) -> Document:
    """Parse a JSON Feed; if the JSON is broken, as much of it as can be read.

    Raises:
        FeedUnreadable: it is no JSON, or no JSON Feed.
    """
    whole = True
    try:
        # Many feeds have unescaped line ends and tabs in their texts.
        data = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        data, whole = _salvaged(text), False
        if not data["items"]:
            raise FeedUnreadable(
                "the document is not valid JSON; try again later, or tell the people who run the site"
            ) from error
        warn("not valid JSON; what can be read of it was read")
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        raise FeedUnreadable(
            "this is JSON, but not a JSON Feed; give the address of the feed itself"
        )
    if not _text(data, "version").startswith("https://jsonfeed.org/version/"):
        warn("no JSON Feed version")
    base = base_url or _text(data, "feed_url") or _text(data, "home_page_url") or None

    def read(item: Any) -> Entry | None:
        if not isinstance(item, dict):
            warn("not an object: left out")
            return None
        return finish(_raw_entry(item, data, base), now, warn)

    entries = each_entry(data["items"], read, warn)
    title, next_url = title_text(_text(data, "title")), absolute_url(_text(data, "next_url"), base)
    return Document(title, entries, warn.collected(), whole, next_url)


def _salvaged(text: str) -> dict[str, Any]:
    """Return what can be read of broken JSON: the feed's head, and its complete items."""
    begin = _ITEMS.search(text)
    data: dict[str, Any] = {"items": []}
    if begin is None:
        return data
    for name, value in _HEAD.findall(text, 0, begin.start()):
        data.setdefault(name, _DECODER.decode(value))
    at = begin.end()
    while (item := text.find("{", at)) >= 0 and not text[at:item].strip(" \t\r\n,"):
        try:
            value, at = _DECODER.raw_decode(text, item)
        except (ValueError, RecursionError):
            break
        data["items"].append(value)
    return data


def _raw_entry(item: dict[str, Any], feed: dict[str, Any], base: str | None) -> RawEntry:
    dates = [_text(item, "date_published"), _text(item, "date_modified")]
    summary, content = _text(item, "summary"), _text(item, "content_text")
    tags = item.get("tags")
    return RawEntry(
        guid=_id(item),
        links=[link for link in (_text(item, "url"), _text(item, "external_url")) if link]
        or [link for link in [_text(item, "id")] if link.startswith(("http://", "https://"))],
        title=title_text(_text(item, "title"), decode=False),
        dates=[(date, read_instant(date)) for date in dates if date],
        markup=[as_html(summary), _text(item, "content_html"), as_html(content)],
        author=", ".join(_authors(item)) or ", ".join(_authors(feed)),
        categories=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        images=[_text(item, "image"), _text(item, "banner_image"), *_attached_images(item)],
        thumbnails=(),
        base=base,
        markup_base=base,
    )


def _authors(holder: dict[str, Any]) -> list[str]:
    authors = holder.get("authors")
    every = authors if isinstance(authors, list) else [holder.get("author")]
    return [_text(author, "name") for author in every if isinstance(author, dict)]


def _attached_images(item: dict[str, Any]) -> Iterator[str]:
    attachments = item.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else []:
        if isinstance(attachment, dict) and _text(attachment, "mime_type").startswith("image/"):
            yield _text(attachment, "url")


def _id(item: dict[str, Any]) -> str:
    value = item.get("id")
    # Version 1 asks for text, but some feeds use numbers.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else _text(item, "id")


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return clean_text(value) if isinstance(value, str) else ""
