"""Keeps what the sample newsroom has published so far, and writes its RSS feed.

It knows no clock and no socket: the caller says when an article appears, and newspaper.py serves it.
"""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from mailer.demo.articles import NEWSPAPER, TOWN, SampleArticle, harbour_log, load_articles
from mailer.demo.static import picture_size

ENTRIES_IN_FEED = 20

_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
register_namespace("dc", "http://purl.org/dc/elements/1.1/")
register_namespace("content", "http://purl.org/rss/1.0/modules/content/")


class Newsroom:
    """The articles that are out. Safe to use from several threads.

    Args:
        origin: what the addresses of articles start with, such as "http://127.0.0.1:8001".
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._waiting = load_articles()
        self._published: list[SampleArticle] = []
        self._lock = threading.Lock()

    def open_with(self, count: int, now: datetime) -> None:
        """Publish the first `count` articles as if they had appeared over the last days."""
        for number in range(count):
            self.publish(now - timedelta(hours=5 * (count - number) - 2))

    def publish(self, now: datetime) -> SampleArticle:
        """Publish the next article; once all are out, a notice from the harbour log."""
        with self._lock:
            waiting = self._waiting
            article = waiting.pop(0) if waiting else harbour_log(len(self._published), now)
            self._published.append(replace(article, published=now))
            return self._published[-1]

    def articles(self) -> list[SampleArticle]:
        """Return everything that is out, newest first."""
        with self._lock:
            return self._published[::-1]

    def address(self, article: SampleArticle) -> str:
        """Return where the article is read."""
        return f"{self.origin}/news/{article.slug}"

    def picture_address(self, article: SampleArticle) -> str | None:
        """Return where the article's picture is, if it has one."""
        return f"{self.origin}/pictures/{article.picture}.png" if article.picture else None

    def feed(self) -> bytes:
        """Write the newest articles as RSS 2.0, as a newspaper's own web site would."""
        rss = Element("rss", version="2.0")
        channel = SubElement(rss, "channel")
        _add(channel, "title", NEWSPAPER)
        _add(channel, "link", f"{self.origin}/")
        _add(channel, "description", f"News from {TOWN} and the islands")
        _add(channel, "language", "en")
        for article in self.articles()[:ENTRIES_IN_FEED]:
            self._entry(SubElement(channel, "item"), article)
        return bytes(tostring(rss, encoding="utf-8", xml_declaration=True))

    def _entry(self, item: Element, article: SampleArticle) -> None:
        paragraphs = (article.summary, *article.paragraphs)
        _add(item, "title", article.title)
        _add(item, "link", self.address(article))
        _add(item, "guid", f"merrowhaven-{article.slug}").set("isPermaLink", "false")
        _add(item, "pubDate", format_datetime(article.published))
        _add(item, _CREATOR, article.author)
        for category in article.categories:
            _add(item, "category", category)
        _add(item, "description", f"<p>{article.summary}</p>")
        _add(item, _CONTENT, "".join(f"<p>{text}</p>" for text in paragraphs))
        if article.picture:
            url, length = f"{self.picture_address(article)}", str(picture_size(article.picture))
            SubElement(item, "enclosure", url=url, type="image/png", length=length)


def _add(parent: Element, name: str, text: str) -> Element:
    element = SubElement(parent, name)
    element.text = text
    return element
