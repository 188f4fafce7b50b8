"""Which entry of a feed is which article. Pure.

A piece sent twice cannot be taken back, and one taken for another is never sent; so links, guids, titles
and dates are all heard, each of which changes by itself in some feeds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailer.feeds.canonical import canonical_url, place
from mailer.feeds.reading.entry import Entry

FEWEST_MOVED: Final = 5
"""So many pieces must look moved before a fetch is held: a few may be alike by chance."""


@dataclass(frozen=True)
class KnownArticle:
    """An article that is stored already, as far as it is compared."""

    article_id: int
    canonical_url: str
    title: str
    published_at: datetime


@dataclass(frozen=True)
class FeedItem:
    """One piece of a document, perhaps of several entries: what is stored of it, and under which guids."""

    canonical_url: str
    entry: Entry
    guids: tuple[str, ...]
    categories: tuple[str, ...]


def feed_items(entries: Iterable[Entry]) -> list[FeedItem]:
    """The pieces that `entries` tell of, each canonical address once; those without one are left out.

    A guid that stands on several pieces tells nothing: such pieces go by their address alone.
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
            tuple(dict.fromkeys(one.guid for one in same if len(urls_of[one.guid]) == 1))
            or (canonical,),
            tuple(dict.fromkeys(name for one in same for name in one.categories)),
        )
        for canonical, same in by_url.items()
    ]


def identify(
    found: Iterable[FeedItem],
    by_guid: Mapping[str, KnownArticle],
    by_url: Mapping[str, KnownArticle],
) -> list[tuple[FeedItem, KnownArticle | None]]:
    """Each piece with the article that it is, or None where it is new.

    It is the same piece when its address is known, or when its guid is and the title, the path or the
    date agrees. An address that its article has left within this document is free for a new piece. A
    feed may number its entries from the top: then a guid stands for another piece each time, and the
    piece that it stood for is still there under its own address.

    Args:
        by_guid: the articles that this feed's guids stand for.
        by_url: articles by canonical address.
    """
    every = list(found)
    times = Counter(piece.entry.published for piece in every)
    # Both the address and something else say so: no other piece can be this article.
    settled = {
        known.article_id
        for piece in every
        if (known := by_url.get(piece.canonical_url)) is not None
        and (any(by_guid.get(guid) == known for guid in piece.guids) or _reads_alike(piece, known))
    }
    moved: dict[str, KnownArticle] = {}
    for piece in every:
        if piece.canonical_url not in by_url:
            # Of the day alone, without a time, many pieces are.
            known = _by_guid(piece, by_guid, is_only=times[piece.entry.published] == 1)
            if known is not None and known.article_id not in settled:
                settled.add(known.article_id)
                moved[piece.canonical_url] = known
    left = {known.article_id for known in moved.values()}
    identified = []
    for piece in every:
        known = by_url.get(piece.canonical_url)
        if known is not None and known.article_id in left:
            known = None
        identified.append((piece, moved.get(piece.canonical_url, known)))
    return identified


def moved(
    identified: Sequence[tuple[FeedItem, KnownArticle | None]], stored: Iterable[KnownArticle]
) -> dict[str, KnownArticle]:
    """The pieces that look new but are like an article that this document does not tell of otherwise.

    A site that gets another address and other guids does that to all of its pieces at once. They are like
    an article when title and date are the same, or the path of the address.

    Args:
        stored: the feed's articles.

    Returns:
        By canonical address, each article once.
    """
    seen = {known.article_id for _, known in identified if known is not None}
    by_text: dict[tuple[str, datetime], KnownArticle] = {}
    by_place: dict[str, KnownArticle] = {}
    for known in stored:
        if known.article_id not in seen:
            by_text.setdefault((known.title, known.published_at), known)
            by_place.setdefault(place(known.canonical_url), known)
    found: dict[str, KnownArticle] = {}
    for piece, article in identified:
        if article is not None:
            continue
        where, date = place(piece.canonical_url), piece.entry.published
        alike = by_text.get((piece.entry.title, date)) if piece.entry.title and date else None
        alike = alike or (by_place.get(where) if where else None)
        if alike is not None and alike.article_id not in seen:
            seen.add(alike.article_id)
            found[piece.canonical_url] = alike
    return found


def looks_moved(found: Sequence[FeedItem], alike: Mapping[str, KnownArticle]) -> bool:
    """Whether so many pieces of a document are like known articles that a site must have moved."""
    return len(alike) >= FEWEST_MOVED and 2 * len(alike) > len(found)


def is_same_by_guid(piece: FeedItem, known: KnownArticle, *, is_only: bool) -> bool:
    """Whether a piece is one that had the same guid: the title, the path or the date must agree as well.

    Args:
        is_only: no other piece of the document has its date.
    """
    where = place(piece.canonical_url)
    return (
        _has_title(piece, known)
        or (bool(where) and where == place(known.canonical_url))
        or (is_only and piece.entry.published == known.published_at)
    )


def _by_guid(
    piece: FeedItem, by_guid: Mapping[str, KnownArticle], *, is_only: bool
) -> KnownArticle | None:
    for guid in piece.guids:
        known = by_guid.get(guid)
        if known is not None and is_same_by_guid(piece, known, is_only=is_only):
            return known
    return None


def _has_title(piece: FeedItem, known: KnownArticle) -> bool:
    return bool(piece.entry.title) and piece.entry.title == known.title


def _reads_alike(piece: FeedItem, known: KnownArticle) -> bool:
    return _has_title(piece, known) or piece.entry.published == known.published_at
