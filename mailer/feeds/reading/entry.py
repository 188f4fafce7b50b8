"""What a feed's document says, whichever format it came in: a title and its entries. Pure.

The three makers of entries (RSS and Atom, JSON Feed, tests) hand in raw pieces; here they become clean.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.pictures import first_image, is_no_picture
from mailer.feeds.reading.sanitise import one_line, summarise
from mailer.text.english import pluralise
from mailer.text.untrusted import without_bidi_controls

EARLIEST: Final = datetime(1995, 1, 1, tzinfo=UTC)
LATEST: Final = timedelta(days=1)
"""How far ahead of now a date may lie: further ones come from mistakes."""

MOST_ENTRIES: Final = 20_000
"""How many entries of one document are read: no feed that is meant for reading has as many."""

_MAX_GUID: Final = 500
_MAX_TITLE: Final = 1000
_MAX_NAME: Final = 200
_MOST_WARNINGS: Final = 500


@dataclass(frozen=True)
class Entry:
    """One piece as a feed tells of it.

    `guid` is never empty: where the feed gives none, it is the address, or else a digest of the text.
    `published` is an aware UTC instant, or None where the feed
    gives no credible one. `summary_html` is sanitised; all else is plain text.
    """

    guid: str
    url: str | None
    title: str
    published: datetime | None
    summary_html: str
    author: str | None
    categories: tuple[str, ...]
    image: str | None


@dataclass(frozen=True)
class Document:
    """A feed as it was read. `whole` is False where it was cut off or broken, and only part was read.

    `next_url` is where it says that its older entries stand.
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
        links: where the piece may be read, best first.
        title: plain text already.
        dates: the raw text of each date, best first, and the instant it was read as.
        markup: HTML that may serve as a summary, best first.
        images: addresses of lead images, best first.
        thumbnails: addresses of small images, for where there is no other one.
        base: what `links`, `images` and `thumbnails` are resolved against.
        markup_base: what the links in `markup` are.
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


def finish(pieces: RawEntry, now: datetime, warn: "Warn") -> Entry:
    """The entry that `pieces` make."""
    url = next(filter(None, (absolute_url(link, pieces.base) for link in pieces.links)), None)
    if url is None:
        unusable = next((link for link in pieces.links if link.strip()), None)
        warn("no link" if unusable is None else f"unusable link {unusable[:100]!r}")
    # Cleaning markup costs more than all else, so only what is used is cleaned.
    summaries = (summarise(markup, pieces.markup_base) for markup in pieces.markup)
    summary = next(filter(None, summaries), "")
    images = chain(
        (absolute_url(image, pieces.base) for image in pieces.images),
        (first_image(markup, pieces.markup_base) for markup in pieces.markup),
        (absolute_url(image, pieces.base) for image in pieces.thumbnails),
    )
    title = _shown(pieces.title)[:_MAX_TITLE]
    if not title:
        warn("no title")
    return Entry(
        guid=_short(one_line(pieces.guid)) or url or _fingerprint(pieces, summary),
        url=url,
        title=title,
        published=_credible(pieces.dates, now, warn),
        summary_html=summary,
        author=_shown(pieces.author)[:_MAX_NAME] or None,
        categories=tuple(
            dict.fromkeys(
                name[:_MAX_NAME] for name in (_shown(raw) for raw in pieces.categories) if name
            )
        ),
        image=next((image for image in images if image and not is_no_picture(image)), None),
    )


class Warn:
    """Collects what is odd about one document, each with the number of the entry it is about.

    Only so many are kept: a document may be odd a million times.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.entry = 0
        self._unsaid = 0

    def __call__(self, text: str) -> None:
        if len(self.said) < _MOST_WARNINGS:
            self.said.append(f"entry {self.entry}: {text}" if self.entry else text)
        else:
            self._unsaid += 1

    def every(self) -> tuple[str, ...]:
        """What was said, and how much more was not kept."""
        more = (
            (f"and {pluralise(self._unsaid, 'more oddity', 'more oddities')}",)
            if self._unsaid
            else ()
        )
        return (*self.said, *more)


def _shown(text: str) -> str:
    """`text` as people are shown it; a guid, which only tells entries apart, stays as it is."""
    return one_line(without_bidi_controls(text))


def _credible(
    dates: Sequence[tuple[str, datetime | None]], now: datetime, warn: Warn
) -> datetime | None:
    for raw, instant in dates:
        if instant is not None and EARLIEST <= instant <= now + LATEST:
            return instant
        warn(f"unusable date {raw[:50]!r}")
    if not dates:
        warn("no date")
    return None


def _short(guid: str) -> str:
    """`guid`, or a digest of it where it is too long for a key of the database."""
    return guid if len(guid) <= _MAX_GUID else _hashed(guid)


def _fingerprint(pieces: RawEntry, summary: str) -> str:
    """What tells an entry that has neither a guid nor a link from others."""
    return _hashed("\n".join([pieces.title, *(raw for raw, _ in pieces.dates), summary]))


def _hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
