"""Puts together what fetching a feed and storing its articles needs: database, reader, clock, alerts.

Never fetches by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from mailer.clock import Clock
from mailer.db import Database
from mailer.feeds.http.fetch import Fetched, FetchRequest, fetch
from mailer.feeds.reading.entry import Document
from mailer.feeds.sandbox.reader import FeedReader
from mailer.notices.alert import Alerts

Fetch = Callable[[FetchRequest], Fetched]
"""Fetches a document; tests put their own in its place."""


@dataclass(frozen=True)
class FeedContext:
    """Everything that is needed to fetch feeds and to store their articles.

    Args:
        reader: parses what is fetched.
        clock: tells when a document arrives.
        interval: how long after a fetch the next one is due; longer if a feed goes on failing.
        alerts: how staff are told of a feed that needs them; None alerts nobody.
        fetch: fetches a document.
    """

    database: Database
    reader: FeedReader
    clock: Clock
    interval: timedelta
    alerts: Alerts | None = None
    fetch: Fetch = fetch

    def parse(self, fetched: Fetched) -> Document:
        """Parse what was fetched.

        Raises:
            FeedUnreadable: it is no feed.
        """
        return self.reader.parse(
            fetched.body or b"",
            content_type=fetched.content_type,
            base_url=fetched.url,
            now=self.clock(),
        )
