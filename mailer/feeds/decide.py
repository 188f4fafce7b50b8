"""Decides what becomes of a document's items: articles, changes, or held items if the site moved. Pure.

A site that gets a new address and new guids changes those of all its articles at once, and none of them is
news. Never changes what is stored: `store` carries out what is decided here.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailer.feeds.identity import (
    FeedItem,
    Known,
    Matches,
    guid_marks,
    identify,
    looks,
)
from mailer.feeds.reading.entry import Entry
from mailer.models import Article, Feed, ImageSource

FEWEST_MOVED: Final = 5
"""So many items must look moved before a fetch is held: a few may be alike by chance."""


@dataclass(frozen=True)
class Decision:
    """What is to be written of a document.

    Args:
        wants_older_page: nothing yet, because an older page may have what was missed.
        held: items that wait for staff; then all else is empty.
        releases: what is held waits no longer.
        changed: articles and their new values.
        unchanged: how many articles stay as they are.
        new: articles, the oldest first.
        guids: the articles that guids stand for from now on.
        stale_guids: those of them that stood for another one.
        categories: articles and the categories that they get.
    """

    wants_older_page: bool = False
    held: Sequence[FeedItem] = field(default_factory=list)
    releases: bool = False
    changed: Sequence[tuple[Article, Mapping[str, object]]] = field(default_factory=list)
    unchanged: int = 0
    new: Sequence[Article] = field(default_factory=list)
    guids: Mapping[str, Article] = field(default_factory=dict)
    stale_guids: Sequence[str] = field(default_factory=list)
    categories: Sequence[tuple[Article, str]] = field(default_factory=list)


def decide(
    feed: Feed, items: Sequence[FeedItem], known: Known, *, has_older_page: bool, now: datetime
) -> Decision:
    """Decide what is to be written of a document.

    Args:
        has_older_page: there may be an older page that was not read.
        now: when the document arrived; also the date of items without one.
    """
    items = _without_discarded(items, known)
    matches = identify(items, known)
    alike = len(_alike(matches, known))
    if feed.held_at is not None:
        is_back = 2 * sum(article is not None for _, article in matches) >= max(1, len(items))
        if alike or not is_back:
            # Until staff decide, new items of such a document wait as well.
            return Decision(held=items)
    elif feed.first_fetched_at is not None:
        if alike >= FEWEST_MOVED and 2 * alike > len(items):
            # So many look like known articles that the site must have moved.
            return Decision(held=items)
        is_all_new = items and not any(known.has(item) for item in items)
        if has_older_page and is_all_new and known.has_entries:
            return Decision(wants_older_page=True)
    return _changes(feed, matches, known, now)


def down_to_known(page: Sequence[Entry], known: Known) -> Sequence[Entry]:
    """Leave out the entries of an older page that are older than all known ones: they are no news.

    That is every entry after the last known one that is not newer than the oldest known one.
    """
    numbers = [
        number
        for number, entry in enumerate(page)
        if entry.guid in known.by_guid or entry.canonical_url in known.by_url
    ]
    if not numbers:
        return page
    oldest = min(filter(None, (page[number].published for number in numbers)), default=None)
    return [
        entry
        for number, entry in enumerate(page)
        if number <= numbers[-1] or (oldest and entry.published and entry.published > oldest)
    ]


def decide_accepted(feed: Feed, items: Sequence[FeedItem], known: Known, now: datetime) -> Decision:
    """Decide as `decide`, of held items that staff accept: what looks like an article is this article.

    Args:
        items: the latest first; one that got another address while it was held counts once.
    """
    matches = identify(_once_each(items), known)
    same = _alike(matches, known)
    matches = [(item, article or same.get(item.canonical_url)) for item, article in matches]
    return _changes(feed, matches, known, now)


def _once_each(items: Sequence[FeedItem]) -> list[FeedItem]:
    """Leave out the items that are the same as an earlier one of the list, by the rule of known articles."""
    seen: set[Hashable] = set()
    kept = []
    for item in items:
        # A date counts only if a single item has it, so no two of them share one that counts.
        marks = guid_marks(item, has_date=False)
        if seen.isdisjoint(marks):
            kept.append(item)
            seen.update(marks)
    return kept


def _alike(matches: Matches, known: Known) -> Mapping[str, Article]:
    """Return the articles that items look like which seem to be new, each once, by the item's address.

    Title and date must be the same, or the path of the address. An article that the document has under its
    known address does not count.
    """
    seen = {article.id for _, article in matches if article is not None}
    by_look: dict[Hashable, Article] = {}
    for article in known.alike:
        if article.id not in seen:
            for key in looks(article):
                by_look.setdefault(key, article)
    alike: dict[str, Article] = {}
    for item, match in matches:
        same = next((by_look[key] for key in looks(item) if key in by_look), None)
        if match is None and same is not None and same.id not in seen:
            seen.add(same.id)
            alike[item.canonical_url] = same
    return alike


def _without_discarded(items: Sequence[FeedItem], known: Known) -> list[FeedItem]:
    """Leave out the items that staff discarded, under this address or another one.

    With another address the rule is that of known articles: the guid is the same, and the title, the path
    or the date.
    """
    times = Counter(item.published_at for item in items)
    urls = {discarded.canonical_url for discarded in known.discarded}
    marks = {mark for discarded in known.discarded for mark in guid_marks(discarded, has_date=True)}
    return [
        item
        for item in items
        if item.canonical_url not in urls
        and marks.isdisjoint(guid_marks(item, has_date=times[item.published_at] == 1))
    ]


def _changes(feed: Feed, matches: Matches, known: Known, now: datetime) -> Decision:
    """Turn items into articles, new or changed.

    A changed article is updated until an edition has it, and only by the feed that brought it: another
    feed may have another text.
    """
    old = [(item, article) for item, article in matches if article is not None]
    differing = ((article, _differing(feed, item, article, known)) for item, article in old)
    changed = [(article, values | {"updated_at": now}) for article, values in differing if values]
    new = [item for item, article in reversed(matches) if article is None]
    # Feeds list the newest first. Without dates that order is all there is.
    new.sort(key=lambda item: item.published_at or now)
    articles = [
        Article(first_seen_at=now, updated_at=now, **_values(feed, item, now)) for item in new
    ]
    placed = [*old, *zip(new, articles, strict=True)]
    guids = {guid: article for item, article in placed for guid in item.guids}
    guids = {guid: one for guid, one in guids.items() if known.by_guid.get(guid) is not one}
    return Decision(
        releases=feed.held_at is not None,
        changed=changed,
        unchanged=len(old) - len(changed),
        new=articles,
        guids=guids,
        stale_guids=[guid for guid in guids if guid in known.by_guid],
        categories=[
            (article, name)
            for item, article in placed
            for name in sorted(item.categories)
            if name not in known.categories.get(article.id, ())
        ],
    )


def _differing(feed: Feed, item: FeedItem, article: Article, known: Known) -> dict[str, object]:
    """Return the new values of an article that a feed's item is."""
    # Other feeds know it by its address, so this follows even if the text may not.
    values: dict[str, object] = {"canonical_url": item.canonical_url}
    if article.id not in known.fixed:
        values = _values(feed, item, article.published_at)
        if feed.image_source is ImageSource.PAGE and article.page_read_at is not None:
            # The picture of the page is better than the feed's.
            values["image_url"] = article.image_url or item.entry.image
    if item.canonical_url in known.by_url:
        values["canonical_url"] = article.canonical_url
    return {name: value for name, value in values.items() if getattr(article, name) != value}


def _values(feed: Feed, item: FeedItem, date: datetime) -> dict[str, object]:
    """Return what an article takes from its item; `date` is for an item without one."""
    entry = item.entry
    is_by_feed = (entry.author or "").casefold() == feed.title.casefold()
    return {
        "canonical_url": item.canonical_url,
        "url": entry.url,
        "title": entry.headline,
        "summary_html": entry.summary_html,
        "author": None if is_by_feed else entry.author,
        "image_url": None if feed.image_source is ImageSource.NONE else entry.image,
        "published_at": entry.published or date,
    }
