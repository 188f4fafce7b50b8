"""Bundles what fetching feeds takes, so that it is made once and handed on as one."""

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


@dataclass(frozen=True)
class FeedContext:
    """What it takes to fetch feeds and to store what they bring.

    Args:
        reader: parses what is fetched.
        clock: tells when it arrives.
        interval: how long after a fetch the next one is due; longer if a feed goes on failing.
        alerts: what it takes to alert staff to a feed; None alerts nobody.
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
