"""Keeps what the sample newsroom has published so far, and writes its RSS feed.

It knows no clock and no socket: the caller says when an article appears, and newspaper.py serves it.
"""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime

from mailer.demo.articles import NEWSPAPER, TOWN, SampleArticle, harbour_log, load_articles
from mailer.demo.static import picture_size, render

ENTRIES_IN_FEED = 20


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
        document = render(
            "feed.xml",
            newspaper=NEWSPAPER,
            town=TOWN,
            newsroom=self,
            articles=self.articles()[:ENTRIES_IN_FEED],
            format_datetime=format_datetime,
            picture_size=picture_size,
        )
        return document.encode()
