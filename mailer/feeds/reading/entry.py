"""Cleans the entries of a feed: links, dates, summaries, pictures, whichever format they came in. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Final, TypeVar

from mailer.feeds.canonical import absolute_url, canonical_url
from mailer.feeds.reading.pictures import first_image, is_no_picture
from mailer.feeds.reading.sanitise import one_line, summarise, without_markup
from mailer.text.english import pluralise
from mailer.text.untrusted import without_bidi_controls

EARLIEST: Final = datetime(1995, 1, 1, tzinfo=UTC)
LATEST: Final = timedelta(days=1)
"""How far in the future a date may be: a later one is a mistake."""

MOST_ENTRIES: Final = 10_000
"""How many entries of a feed are read: none for readers has as many, and storing them takes a second."""

_MAX_GUID: Final = 500
_MAX_TITLE: Final = 1000
_MAX_NAME: Final = 200
_MOST_CATEGORIES: Final = 50
_MOST_WARNINGS: Final = 500
_MAX_HEADLINE: Final = 80

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Entry:
    """An entry of a feed.

    `guid` is never empty: if the feed gives none, it is the address, or else a hash of the text.
    `canonical_url` is that of `url`, and empty without it. `headline` is the title, or the first words if the
    feed gives none. Both take time, so they are made here, once, and not in the write transaction.
    `published` is an aware UTC instant, or None if the feed gives no credible one. `summary_html` is
    sanitised; everything else is plain text.
    """

    guid: str
    url: str | None
    canonical_url: str
    title: str
    headline: str
    published: datetime | None
    summary_html: str
    author: str | None
    categories: tuple[str, ...]
    image: str | None


@dataclass(frozen=True)
class Document:
    """A parsed feed. `whole` is False if it was cut off or broken, and only a part was read.

    `next_url` is where its older entries are.
    """

    title: str
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]
    whole: bool = True
    next_url: str | None = None


@dataclass(frozen=True)
class RawEntry:
    """An entry as one format gives it: nothing is checked, resolved or cleaned yet.

    Args:
        links: addresses of the article, best first.
        title: plain text already.
        dates: the raw text of each date, best first, and its instant.
        markup: HTML that may serve as a summary, best first.
        images: addresses of lead images, best first.
        thumbnails: addresses of small images, used if there is no other one.
        base: what `links`, `images` and `thumbnails` are resolved against.
        markup_base: what the links in `markup` are resolved against.
    """

    guid: str
    links: Sequence[str]
    title: str
    dates: Sequence[tuple[str, datetime | None]]
    markup: Sequence[str]
    author: str
    categories: Iterable[str]
    images: Sequence[str]
    thumbnails: Sequence[str]
    base: str | None
    markup_base: str | None


class FeedWarnings:
    """Collects what is odd about a document, each with the number of the entry it concerns.

    Keeps only so many: a document may be odd a million times.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.entry = 0
        self._dropped = 0

    def __call__(self, text: str) -> None:
        if len(self._texts) < _MOST_WARNINGS:
            self._texts.append(f"entry {self.entry}: {text}" if self.entry else text)
        else:
            self._dropped += 1

    def collected(self) -> tuple[str, ...]:
        """Return the warnings, and as the last one how many more there were."""
        if not self._dropped:
            return tuple(self._texts)
        return (*self._texts, f"and {pluralise(self._dropped, 'more oddity', 'more oddities')}")


def each_entry(
    items: Sequence[_Item], read: Callable[[_Item], Entry | None], warn: FeedWarnings
) -> tuple[Entry, ...]:
    """Read the first items of a document, and leave out those for which `read` returns None."""
    if len(items) > MOST_ENTRIES:
        warn(f"only the first {MOST_ENTRIES:,} entries were read")
    entries = []
    for warn.entry, item in enumerate(items[:MOST_ENTRIES], start=1):
        if (entry := read(item)) is not None:
            entries.append(entry)
    warn.entry = 0
    return tuple(entries)


def finish(raw: RawEntry, now: datetime, warn: FeedWarnings) -> Entry:
    """Check, resolve and clean an entry."""
    url = next(filter(None, (absolute_url(link, raw.base) for link in raw.links)), None)
    if url is None:
        unusable = next((link for link in raw.links if link.strip()), None)
        warn("no link" if unusable is None else f"unusable link {unusable[:100]!r}")
    # Cleaning markup costs more than all else, so only what is used is cleaned.
    summaries = (summarise(markup, raw.markup_base) for markup in raw.markup)
    summary = next(filter(None, summaries), "")
    images = chain(
        (absolute_url(image, raw.base) for image in raw.images),
        (first_image(markup, raw.markup_base) for markup in raw.markup),
        (absolute_url(image, raw.base) for image in raw.thumbnails),
    )
    title = _visible(raw.title)[:_MAX_TITLE]
    if not title:
        warn("no title")
    guid = one_line(raw.guid)
    if len(guid) > _MAX_GUID:
        # The database could not index it.
        guid = _hash(guid)
    parts = [raw.title, *(date for date, _ in raw.dates), summary]
    categories = (_visible(name)[:_MAX_NAME] for name in raw.categories)
    return Entry(
        guid=guid or url or _hash("\n".join(parts)),
        url=url,
        canonical_url=canonical_url(url) if url else "",
        title=title,
        headline=headline(title, summary, url),
        published=_credible(raw.dates, now, warn),
        summary_html=summary,
        author=_visible(raw.author)[:_MAX_NAME] or None,
        categories=tuple(islice(dict.fromkeys(filter(None, categories)), _MOST_CATEGORIES)),
        image=next((image for image in images if image and not is_no_picture(image)), None),
    )


def headline(title: str, summary_html: str, url: str | None) -> str:
    """Return the title of an article: the entry's title, or its first words if it has none."""
    if title:
        return title
    words = without_markup(summary_html)
    if len(words) <= _MAX_HEADLINE:
        return words or url or ""
    return words[:_MAX_HEADLINE].rpartition(" ")[0] + " …"


def _visible(text: str) -> str:
    """Clean `text` for display; a guid, which only tells entries apart, is not cleaned."""
    return one_line(without_bidi_controls(text))


def _credible(
    dates: Sequence[tuple[str, datetime | None]], now: datetime, warn: FeedWarnings
) -> datetime | None:
    for raw, instant in dates:
        if instant is not None and EARLIEST <= instant <= now + LATEST:
            return instant
        warn(f"unusable date {raw[:50]!r}")
    if not dates:
        warn("no date")
    return None


def _hash(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
