"""What staff change while a feed is refreshed: neither undoes what the other has done."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, text, update

from mailer.db import AdvisoryLock, Database, take_lock
from mailer.errors import NotFound, Refused
from mailer.feeds import articles, moved, newsletter_feeds, page_pictures
from mailer.models import Feed, ImageSource
from tests.integration.feeds.web import NOW, URL, Web, item
from tests.support.waiting import wait_until


def edit(web: Web) -> None:
    with web.database.write() as session:
        articles.edit_article(session, 1, title="Ours", now=NOW)


def remove(web: Web) -> None:
    with web.database.write() as session:
        newsletter_feeds.remove(session, newsletter_feeds.find(session, URL))


def take_pictures(web: Web) -> None:
    page_pictures.look_at_pages(web.context(), web.feed().id)


def waits(database: Database) -> bool:
    """Whether a transaction waits for a lock of the project."""
    with database.read() as session:
        return bool(
            session.scalar(
                text(
                    "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
                    " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
                )
            )
        )


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (edit, None),
        # The refresh has let go of what was held: nothing is left to decide.
        (Web.accept, Refused),
        (Web.discard, Refused),
        (lambda web: web.detach(web.daily), None),
        (remove, None),
        (take_pictures, None),
    ],
    ids=["edit", "accept", "discard", "detach", "remove", "pictures"],
)
def test_a_change_waits_for_a_refresh_and_then_reads_what_it_left(
    postgresql_database: Database,
    change: Callable[[Web], object],
    error: type[Exception] | None,
) -> None:
    web = Web(postgresql_database)
    web.start(item("one"))
    with web.database.write() as session:
        session.execute(update(Feed).values(held_at=NOW, image_source=ImageSource.PAGE))
    with ThreadPoolExecutor(1) as pool:
        with web.database.write() as session:
            take_lock(session, AdvisoryLock.ADD_ARTICLES)
            future = pool.submit(change, web)
            wait_until(lambda: future.done() or waits(web.database))
            assert not future.done()
            session.execute(update(Feed).values(held_at=None))
        assert type(future.exception()) is (error or type(None))


def test_a_feed_that_was_removed_meanwhile_is_said_to_be(web: Web) -> None:
    web.start(item("one"))
    for decide in moved.accept, moved.discard:
        with web.database.write() as session:
            feed = newsletter_feeds.find(session, URL)
            session.execute(delete(Feed).execution_options(synchronize_session=False))
            with pytest.raises(NotFound, match="was removed just now"):
                decide(session, feed, now=NOW)
            session.rollback()
