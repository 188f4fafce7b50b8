"""What the sample newsroom has published so far, and its RSS feed.

It knows no clock and no socket: who publishes says when, and the paper's pages serve it.
"""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from mailer.demo.articles import PAPER, TOWN, SampleArticle, harbour_log, load_articles
from mailer.demo.pictures import draw

ENTRIES_IN_FEED = 20

_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
register_namespace("dc", "http://purl.org/dc/elements/1.1/")
register_namespace("content", "http://purl.org/rss/1.0/modules/content/")


@dataclass(frozen=True)
class PublishedArticle:
    """A story that is out, with the instant (aware UTC) at which it appeared."""

    story: SampleArticle
    published: datetime


class Newsroom:
    """The pieces that are out, oldest first. Safe to use from several threads.

    Args:
        origin: what the addresses of articles start with, such as "http://127.0.0.1:8001".
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._waiting = list(load_articles())
        self._pieces: list[PublishedArticle] = []
        self._lock = threading.Lock()

    def open_with(self, count: int, now: datetime) -> None:
        """Publish the first `count` stories as if they had appeared over the last days."""
        for number in range(count):
            self.publish(now - timedelta(hours=5 * (count - number) - 2))

    def publish(self, now: datetime) -> PublishedArticle:
        """Publish the next story; when all are out, a notice from the harbour log."""
        with self._lock:
            waiting = self._waiting
            story = waiting.pop(0) if waiting else harbour_log(len(self._pieces), now)
            piece = PublishedArticle(story, now)
            self._pieces.append(piece)
            return piece

    def pieces(self) -> list[PublishedArticle]:
        """Everything that is out, newest first."""
        with self._lock:
            return self._pieces[::-1]

    def piece(self, slug: str) -> PublishedArticle | None:
        """The piece at that address, if it is out."""
        return next((piece for piece in self.pieces() if piece.story.slug == slug), None)

    def address(self, piece: PublishedArticle) -> str:
        """Where the article is read."""
        return f"{self.origin}/news/{piece.story.slug}"

    def picture_address(self, piece: PublishedArticle) -> str | None:
        """Where the article's picture is, if it has one."""
        return f"{self.origin}/pictures/{piece.story.slug}.png" if piece.story.scene else None

    def feed(self) -> bytes:
        """The newest pieces as RSS 2.0, as a newspaper's own web site would serve it."""
        rss = Element("rss", version="2.0")
        channel = SubElement(rss, "channel")
        _add(channel, "title", PAPER)
        _add(channel, "link", f"{self.origin}/")
        _add(channel, "description", f"News from {TOWN} and the islands")
        _add(channel, "language", "en")
        for piece in self.pieces()[:ENTRIES_IN_FEED]:
            self._entry(SubElement(channel, "item"), piece)
        return bytes(tostring(rss, encoding="utf-8", xml_declaration=True))

    def _entry(self, item: Element, piece: PublishedArticle) -> None:
        story = piece.story
        _add(item, "title", story.title)
        _add(item, "link", self.address(piece))
        _add(item, "guid", f"merrowhaven-{story.slug}").set("isPermaLink", "false")
        _add(item, "pubDate", format_datetime(piece.published.astimezone(UTC)))
        _add(item, _CREATOR, story.author)
        for category in story.categories:
            _add(item, "category", category)
        _add(item, "description", f"<p>{story.summary}</p>")
        _add(
            item, _CONTENT, "".join(f"<p>{text}</p>" for text in (story.summary, *story.paragraphs))
        )
        picture = self.picture_address(piece)
        if picture and story.scene:
            length = str(len(draw(story.scene, story.slug)))
            SubElement(item, "enclosure", url=picture, type="image/png", length=length)


def _add(parent: Element, name: str, text: str) -> Element:
    element = SubElement(parent, name)
    element.text = text
    return element
