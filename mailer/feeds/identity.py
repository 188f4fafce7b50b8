"""Decides which item of a feed is which article. Pure.

An article sent twice cannot be taken back, and one mistaken for another is never sent. So addresses, guids,
titles and dates all count: each of them changes by itself in some feeds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer.feeds.canonical import canonical_url, path_of
from mailer.feeds.reading.entry import Entry


@dataclass(frozen=True)
class KnownArticle:
    """The part of a stored article that items are compared with."""

    article_id: int
    canonical_url: str
    title: str
    published_at: datetime


@dataclass(frozen=True)
class FeedItem:
    """All entries of a document with one canonical URL: the first of them, their guids and categories."""

    canonical_url: str
    entry: Entry
    guids: tuple[str, ...]
    categories: tuple[str, ...]


IdentifiedItem = tuple[FeedItem, KnownArticle | None]
"""An item, and the article that it is; None if it is new."""


def feed_items(entries: Iterable[Entry]) -> list[FeedItem]:
    """Group entries by canonical URL; those without an address are left out.

    A guid that several items have identifies none of them: such items go by their address alone.
    """
    by_url: dict[str, list[Entry]] = defaultdict(list)
    urls_of: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.url is not None:
            canonical = canonical_url(entry.url)
            by_url[canonical].append(entry)
            urls_of[entry.guid].add(canonical)
    return [
        FeedItem(
            canonical,
            same[0],
            tuple(dict.fromkeys(entry.guid for entry in same if len(urls_of[entry.guid]) == 1))
            or (canonical,),
            tuple(dict.fromkeys(name for entry in same for name in entry.categories)),
        )
        for canonical, same in by_url.items()
    ]


def identify(
    items: Sequence[FeedItem],
    by_guid: Mapping[str, KnownArticle],
    by_url: Mapping[str, KnownArticle],
) -> list[IdentifiedItem]:
    """Match each item with the article that it is.

    It is the same article if its address is known, or if its guid is known and the title, the path or the
    date agrees. An address that its article has left within this document is free for a new item. A feed
    may number its entries from the top: then a guid means another item each time, and the item that it
    meant before still has its own address.

    Args:
        by_guid: the articles that this feed's guids stand for.
        by_url: articles by canonical URL.
    """
    times = Counter(item.entry.published for item in items)
    # Both the address and something else agree: no other item can be this article.
    settled = {
        known.article_id
        for item in items
        if (known := by_url.get(item.canonical_url)) is not None
        and (
            any(by_guid.get(guid) == known for guid in item.guids)
            or _has_title(item, known)
            or item.entry.published == known.published_at
        )
    }
    moved: dict[str, KnownArticle] = {}
    for item in items:
        if item.canonical_url not in by_url:
            # Many items may have the same date if it has no time of day.
            is_only = times[item.entry.published] == 1
            candidates = (by_guid[guid] for guid in item.guids if guid in by_guid)
            same = (known for known in candidates if is_same_by_guid(item, known, is_only=is_only))
            known = next(same, None)
            if known is not None and known.article_id not in settled:
                settled.add(known.article_id)
                moved[item.canonical_url] = known
    left = {known.article_id for known in moved.values()}
    matches: list[IdentifiedItem] = []
    for item in items:
        known = by_url.get(item.canonical_url)
        if known is not None and known.article_id in left:
            known = None
        matches.append((item, moved.get(item.canonical_url, known)))
    return matches


def is_same_by_guid(item: FeedItem, known: KnownArticle, *, is_only: bool) -> bool:
    """Tell whether an item with an article's guid is this article: title, path or date must agree, too.

    Args:
        is_only: no other item of the document has its date.
    """
    path = path_of(item.canonical_url)
    return (
        _has_title(item, known)
        or (bool(path) and path == path_of(known.canonical_url))
        or (is_only and item.entry.published == known.published_at)
    )


def _has_title(item: FeedItem, known: KnownArticle) -> bool:
    return bool(item.entry.title) and item.entry.title == known.title
