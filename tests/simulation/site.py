"""Serves the newspapers' sites as far as the mailer sees them: feeds in three formats, on loopback.

Keeps what was written and where it is shown; what readers should get of it is decided in `model`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from itertools import cycle
from xml.sax.saxutils import escape, quoteattr

from tests.simulation.stories import AUTHORS, stories
from tests.support.http_site import Request, http_site, respond

HOSTS = {
    "news": "https://www.courier.example",
    "culture": "https://www.courier.example",
    "hy": "https://araks.example",
    "ru": "https://araks.example",
    "common": "https://araks.example",
}
"""Each feed and the site that it speaks of."""
NEW_HOST = "https://harbour-courier.example"
LATEST = 25
"""So many entries a feed shows."""


@dataclass
class Story:
    """One piece: `key` ends its address wherever it is, and names it in mails."""

    key: str
    title: str
    summary: str
    published: datetime
    author: str
    category: str
    feeds: list[str]
    gone: bool = False

    @property
    def number(self) -> int:
        return int(self.key.rpartition("-")[2])


@dataclass
class Site:
    """All feeds. `down` answer 503, `moved` have other addresses and guids for all that they ever held."""

    origin: str = ""
    stories: dict[str, Story] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._texts = stories()
        self._authors = {feed: cycle(names) for feed, names in AUTHORS.items()}
        self._numbers: Counter[str] = Counter()

    def feed(self, name: str) -> str:
        """The address of a feed."""
        return f"{self.origin}/{name}"

    def publish(self, feed: str, published: datetime, *others: str, category: str = "") -> Story:
        """Show one more story in a feed, and in others too."""
        title, summary = next(self._texts[feed])
        self._numbers[feed] += 1
        key = f"{feed}-{self._numbers[feed]}"
        author = next(self._authors[feed])
        story = Story(key, title, summary, published, author, category, [feed, *others])
        self.stories[key] = story
        return story

    def address(self, story: Story, feed: str) -> str:
        path = f"{story.published:%Y/%m/%d}/{story.key}"
        if feed not in self.moved:
            return f"{HOSTS[story.feeds[0]]}/{path}"
        # Most keep their path; the others can only be known by title and date.
        return f"{NEW_HOST}/{path if story.number % 3 != 2 else 'read/' + story.key}"

    def shown(self, feed: str) -> list[Story]:
        """What a feed shows, the newest first."""
        found = [one for one in list(self.stories.values()) if feed in one.feeds and not one.gone]
        return sorted(found, key=lambda one: one.published, reverse=True)[:LATEST]

    def picture(self, story: Story) -> str | None:
        """The address of its picture; every third story has none."""
        return f"https://pictures.example/{story.number}.jpg" if story.number % 3 else None

    def document(self, feed: str) -> tuple[str, bytes]:
        """A feed's media type and text."""
        made = {"culture": self._json, "common": self._atom}.get(feed, self._rss)
        return made(feed)

    def _guid(self, story: Story, feed: str) -> str:
        return f"{'moved' if feed in self.moved else 'site'}:{story.key}"

    def _rss(self, feed: str) -> tuple[str, bytes]:
        items = []
        for one in self.shown(feed):
            picture = self.picture(one)
            items.append(
                f"<item><title>{escape(one.title)}</title><link>{self.address(one, feed)}</link>"
                f'<guid isPermaLink="false">{self._guid(one, feed)}</guid>'
                f"<pubDate>{format_datetime(one.published)}</pubDate>"
                f"<dc:creator>{escape(one.author)}</dc:creator>"
                f"<description>{escape(f'<p>{escape(one.summary)}</p>')}</description>"
                + (f'<enclosure url="{picture}" type="image/jpeg" length="1"/>' if picture else "")
                + "</item>"
            )
        text = (
            '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>'
            f"<title>{feed}</title><link>{HOSTS[feed]}</link><description>{feed}</description>"
            f"{''.join(items)}</channel></rss>"
        )
        return "application/rss+xml; charset=utf-8", text.encode()

    def _atom(self, feed: str) -> tuple[str, bytes]:
        entries = "".join(
            f"<entry><title>{escape(one.title)}</title><id>{self._guid(one, feed)}</id>"
            f"<link href={quoteattr(self.address(one, feed))}/>"
            f"<published>{one.published.isoformat()}</published>"
            f"<updated>{one.published.isoformat()}</updated>"
            f"<category term={quoteattr(one.category)}/><summary>{escape(one.summary)}</summary></entry>"
            for one in self.shown(feed)
        )
        text = (
            f'<feed xmlns="http://www.w3.org/2005/Atom"><title>{feed}</title><id>{feed}</id>'
            f"<updated>2026-10-18T00:00:00Z</updated>{entries}</feed>"
        )
        return "application/atom+xml; charset=utf-8", text.encode()

    def _json(self, feed: str) -> tuple[str, bytes]:
        items = [
            {
                "id": self._guid(one, feed),
                "url": self.address(one, feed),
                "title": one.title,
                "content_html": f"<p>{escape(one.summary)}</p>",
                "date_published": one.published.isoformat(),
                "authors": [{"name": one.author}],
                "image": self.picture(one),
            }
            for one in self.shown(feed)
        ]
        data = {"version": "https://jsonfeed.org/version/1.1", "title": feed, "items": items}
        return "application/feed+json", json.dumps(data).encode()


@contextmanager
def serving(site: Site | None = None) -> Iterator[Site]:
    """The sites on a free port of loopback."""
    site = site or Site()

    def answer(request: Request) -> None:
        feed = request.path.strip("/")
        site.asked[feed] += 1
        if feed in site.down or feed not in HOSTS:
            respond(request, 503 if feed in site.down else 404)
        else:
            kind, body = site.document(feed)
            respond(request, 200, body, Content_Type=kind)

    with http_site(answer) as site.origin:
        yield site
