"""Kill -9 while what a feed brought is written down: nothing of it is there, and then all of it is."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.feeds.fetch_state import CLAIM
from mailer.models import Article, Feed, NewsletterArticle
from tests.faults.relays import size
from tests.faults.run import Run
from tests.faults.traps import article_written, die_in
from tests.support import factories
from tests.support.http_site import Request, http_site, respond
from tests.support.waiting import wait_until

ITEMS = 5

pytestmark = pytest.mark.timeout(size(300, 600))


def feed(request: Request) -> None:
    """One feed that never changes, and says so if asked with its ETag."""
    # If the validator of a fetch that came to nothing were kept, the items would never come.
    if request.headers["If-None-Match"] == '"1"':
        respond(request, 304, ETag='"1"')
        return
    items = "".join(
        f"<item><title>Item {number}</title><link>https://news.example/{number}</link></item>"
        for number in range(ITEMS)
    )
    document = f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'
    respond(request, 200, document.encode(), ETag='"1"')


@pytest.mark.quick
@pytest.mark.parametrize("number", [1, ITEMS])
def test_what_a_killed_refresh_brought_comes_with_the_next(run: Run, number: int) -> None:
    before = utc_now() - timedelta(hours=1)

    def written() -> tuple[int, int]:
        with run.database.read() as session:
            backlog = session.scalars(select(NewsletterArticle.backlog)).all()
            return len(session.scalars(select(Article)).all()), backlog.count(False)

    with http_site(feed) as url:
        with run.database.write() as session:
            newsletter = factories.newsletter(session)
            factories.feed(
                session, newsletter, url=url, allow_private=True, next_fetch_at=before,
                first_fetched_at=before, last_fetched_at=before,
            )  # fmt: skip
        die_in(run, article_written(number), 1, "scheduler")
        assert written() == (0, 0)
        with run.database.write() as session:
            row = session.scalars(select(Feed)).one()
            assert row.fetching_until is not None
            # The claim of a scheduler that was killed ends by itself, after some minutes.
            row.fetching_until -= CLAIM
            assert (row.etag, row.last_fetched_at, row.next_fetch_at) == (None, before, before)
        with run.running(1, "scheduler"):
            wait_until(lambda: written()[0])
            found = written()
    run.note("K2", readers=0, kills=1, lost=ITEMS - found[0])
    # Nobody ever sees a part of them, and they are news.
    assert found == (ITEMS, ITEMS)
