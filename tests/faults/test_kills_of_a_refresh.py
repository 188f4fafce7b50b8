"""Kill -9 while what a feed brought is written down: nothing of it is there, and then all of it is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.db import Database
from mailer.feeds.fetch_state import CLAIM
from mailer.models import Article, Feed, NewsletterArticle
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.relays import size
from tests.faults.traps import article_written, die_in
from tests.support import factories
from tests.support.processes import killed_in_the_end, start_mailer
from tests.support.waiting import wait_until

ITEMS = 5

pytestmark = pytest.mark.timeout(size(300, 600))


class Site(BaseHTTPRequestHandler):
    """One feed that never changes, and says so to whoever knows it."""

    def do_GET(self) -> None:
        # Whoever kept the validator of a fetch that came to nothing would never get the pieces.
        known = self.headers["If-None-Match"] == '"1"'
        self.send_response(304 if known else 200)
        self.send_header("ETag", '"1"')
        self.end_headers()
        if not known:
            items = "".join(
                f"<item><title>Piece {number}</title><link>https://news.example/{number}</link></item>"
                for number in range(ITEMS)
            )
            feed = f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'
            self.wfile.write(feed.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/feed"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.quick
@pytest.mark.parametrize("number", [1, ITEMS])
def test_what_a_killed_refresh_brought_comes_with_the_next(
    database: Database, keys: Keys, fast_folder: Path, note: Note, number: int
) -> None:
    before = utc_now() - timedelta(hours=1)
    log = fast_folder / "log"

    def written() -> tuple[int, int]:
        with database.read() as session:
            backlog = session.scalars(select(NewsletterArticle.backlog)).all()
            return len(session.scalars(select(Article)).all()), backlog.count(False)

    with site() as url:
        with database.write() as session:
            newsletter = factories.newsletter(session)
            factories.feed(
                session, newsletter, url=url, allow_private=True, next_fetch_at=before,
                first_fetched_at=before, last_fetched_at=before,
            )  # fmt: skip
        die_in(article_written(number), database, keys, 1, log, "scheduler")
        assert written() == (0, 0)
        with database.write() as session:
            feed = session.scalars(select(Feed)).one()
            assert feed.fetching_until is not None
            # The claim of a scheduler that was killed ends by itself, after some minutes.
            feed.fetching_until -= CLAIM
            assert (feed.etag, feed.last_fetched_at, feed.next_fetch_at) == (None, before, before)
        with killed_in_the_end(start_mailer(database, keys, 1, log, "scheduler")):
            wait_until(lambda: written()[0])
            found = written()
    note("K2", database, readers=0, kills=1, lost=ITEMS - found[0])
    # Nobody ever sees a part of them, and they are news.
    assert found == (ITEMS, ITEMS)
