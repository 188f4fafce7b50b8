"""Decides which item of a feed is which article. Pure.

An article sent twice cannot be taken back, and one mistaken for another is never sent. So addresses, guids,
titles and dates all count: each of them changes by itself in some feeds.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from mailer.feeds.canonical import path_of
from mailer.feeds.reading.entry import Entry, headline
from mailer.models import Article


@dataclass(frozen=True)
class FeedItem:
    """All entries of a document with one canonical URL: the first of them, their guids and categories."""

    canonical_url: str
    entry: Entry
    guids: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def title(self) -> str:
        """The feed's title, perhaps empty; named as in `Article`, which it is compared with."""
        return self.entry.title

    @property
    def published_at(self) -> datetime | None:
        """The feed's date, if it gives one; named as in `Article`, which it is compared with."""
        return self.entry.published


@dataclass(frozen=True)
class Known:
    """What is stored that the items of a feed may be.

    Args:
        by_guid: the articles that the feed's guids stand for.
        by_url: articles by canonical URL, from whichever feed.
        fixed: the ids of the articles whose text this feed may not change.
        categories: the categories of articles, by id.
        has_entries: the feed has brought something before; only told if no item is known.
        alike: the feed's articles that have a look of an unknown item, the latest first.
        discarded: what staff discarded.
    """

    by_guid: Mapping[str, Article] = field(default_factory=dict)
    by_url: Mapping[str, Article] = field(default_factory=dict)
    fixed: Collection[int] = ()
    categories: Mapping[int, Collection[str]] = field(default_factory=dict)
    has_entries: bool = False
    alike: Sequence[Article] = ()
    discarded: Sequence[FeedItem] = ()

    def has(self, item: FeedItem) -> bool:
        """Tell whether the address of an item is known, or one of its guids."""
        return item.canonical_url in self.by_url or not self.by_guid.keys().isdisjoint(item.guids)


Matches = Sequence[tuple[FeedItem, Article | None]]
"""Items, each with the article that it is; None if it is new."""


def feed_items(entries: Iterable[Entry]) -> list[FeedItem]:
    """Group entries by canonical URL; those without an address are left out.

    A guid that several items have identifies none of them: such items go by their address alone.
    """
    by_url: dict[str, list[Entry]] = defaultdict(list)
    urls_of: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.url is not None:
            by_url[entry.canonical_url].append(entry)
            urls_of[entry.guid].add(entry.canonical_url)
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


def item_as_json(item: FeedItem) -> str:
    """Write an item as the table of held items has it."""
    return json.dumps(asdict(item), ensure_ascii=False, default=datetime.isoformat)


def item_from_json(content: str) -> FeedItem:
    """Read an item that `item_as_json` wrote."""
    held = json.loads(content)
    raw = held["entry"]
    raw["published"] = raw["published"] and datetime.fromisoformat(raw["published"])
    raw["categories"] = tuple(raw["categories"])
    if "headline" not in raw:
        # Earlier versions did not keep these two.
        raw["canonical_url"] = held["canonical_url"]
        raw["headline"] = headline(raw["title"], raw["summary_html"], raw["url"])
    return FeedItem(
        held["canonical_url"], Entry(**raw), tuple(held["guids"]), tuple(held["categories"])
    )


def identify(items: Sequence[FeedItem], known: Known) -> Matches:
    """Match each item with the article that it is.

    It is the same article if its address is known, or if its guid is known and the title, the path or the
    date agrees. An address that its article has left within this document is free for a new item. A feed
    may number its entries from the top: then a guid means another item each time, and the item that it
    meant before still has its own address.
    """
    times = Counter(item.published_at for item in items)
    # Both the address and something else agree: no other item can be this article.
    settled = {
        article.id
        for item in items
        if (article := known.by_url.get(item.canonical_url)) is not None
        and (
            any(known.by_guid.get(guid) is article for guid in item.guids)
            or (article.title and item.title == article.title)
            or item.published_at == article.published_at
        )
    }
    moved: dict[str, Article] = {}
    for item in items:
        if item.canonical_url not in known.by_url:
            # Many items may have the same date if it has no time of day.
            facts = set(_facts(item, has_date=times[item.published_at] == 1))
            candidates = (known.by_guid[guid] for guid in item.guids if guid in known.by_guid)
            same = (one for one in candidates if not facts.isdisjoint(_facts(one, has_date=True)))
            article = next(same, None)
            if article is not None and article.id not in settled:
                settled.add(article.id)
                moved[item.canonical_url] = article
    left = {article.id for article in moved.values()}
    staying = {url: article for url, article in known.by_url.items() if article.id not in left}
    articles = staying | moved
    return [(item, articles.get(item.canonical_url)) for item in items]


def looks(one: FeedItem | Article) -> list[Hashable]:
    """Return what an article may keep when its address and its guid change: title and date, and the path."""
    path, text = path_of(one.canonical_url), (one.title, one.published_at)
    return [text] * all(text) + [path] * bool(path)


def guid_marks(item: FeedItem, *, has_date: bool) -> set[Hashable]:
    """Return what tells an item with another address apart: it is the same if they share one of these.

    A guid alone is not enough: title, path or date must agree, too.

    Args:
        has_date: the date counts, because no other item of the document has it.
    """
    facts = _facts(item, has_date=has_date)
    return {(guid, fact) for guid in item.guids for fact in facts}


def _facts(one: FeedItem | Article, *, has_date: bool) -> list[Hashable]:
    """Return the facts that must agree, at least one of them, if a guid is to mean the same article."""
    facts: list[tuple[str, object]] = [
        ("title", one.title),
        ("path", path_of(one.canonical_url)),
        ("date", one.published_at if has_date else None),
    ]
    return [fact for fact in facts if fact[1]]
