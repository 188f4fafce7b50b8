"""What staff does to articles: edits stay, what is withdrawn goes to nobody, what is put in stays in."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.digests.selection import article_queries
from mailer.errors import NotFound, Refused
from mailer.feeds import articles, newsletter_feeds
from mailer.models import Article, Newsletter
from tests.integration.feeds.web import NOW, URL, Web, item
from tests.support import factories


def only_article(database: Database) -> Article:
    with database.read() as session:
        return session.scalars(select(Article)).one()


def edit(database: Database, article_id: int, **wishes: Any) -> bool:
    with database.write() as session:
        return articles.edit_article(session, article_id, **wishes, now=NOW)


def test_an_edit_by_staff_is_not_overwritten_by_the_feed(web: Web) -> None:
    web.start(item("one"))
    web.add(to=web.weekly)
    article_id = only_article(web.database).id
    wishes = {
        "title": "  Ours, and <better> ",
        "summary": "<p onclick=x>Words</p><script>x</script>",
        "url": "https://news.example/better",
        "image": "https://news.example/p.jpg",
    }
    assert not edit(web.database, article_id, **wishes)
    result = web.poll(item("one", title="Theirs", text="Theirs", at=NOW))
    assert (result.new, result.updated, result.unchanged) == (0, 0, 1)
    article = only_article(web.database)
    assert article.title == "Ours, and <better>"
    assert article.summary_html == "<p>Words</p>"
    assert article.url == "https://news.example/better"
    assert article.image_url == "https://news.example/p.jpg"
    # It is known by the address of its feed all the same.
    assert article.canonical_url == "https://news.example/one"
    with web.database.read() as session:
        assert {one.edited for one in articles.list_articles(session)} == {True}
        assert web.due(web.weekly, backlog=True) == web.due(backlog=True)
    edit(web.database, article_id, image="")
    assert only_article(web.database).image_url is None
    assert only_article(web.database).title == "Ours, and <better>"


def test_a_digest_that_is_built_keeps_what_it_has(web: Web) -> None:
    web.start(item("one"))
    with web.database.write() as session:
        article = session.scalars(select(Article)).one()
        digest = factories.digest(session, factories.schedule(session, session.merge(web.daily)))
        factories.edition(session, digest, [article])
    assert edit(web.database, article.id, title="Later")


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({}, "nothing to change"),
        ({"title": " "}, "needs a title"),
        ({"url": "news.example"}, "not an http or https address"),
        ({"url": ""}, "not an http or https address"),
        ({"image": "javascript:x"}, "not an http or https address"),
    ],
)
def test_bad_edits_change_nothing(web: Web, wishes: dict[str, str], says: str) -> None:
    web.start(item("one"))
    before = only_article(web.database)
    with pytest.raises(Refused, match=says):
        edit(web.database, before.id, **wishes)
    after = only_article(web.database)
    assert (after.title, after.url, after.edited_at) == (before.title, before.url, None)


def test_no_such_article(database: Database) -> None:
    with pytest.raises(NotFound, match="mailer article list"):
        edit(database, 7, title="T")
    with database.write() as session, pytest.raises(NotFound):
        articles.withdraw_article(session, 7, now=NOW)


def test_what_is_withdrawn_goes_to_nobody_until_it_is_put_back(web: Web) -> None:
    web.publish()
    for newsletter in (web.daily, web.weekly):
        web.add(to=newsletter)
    web.poll(item("one"), item("two"))
    with web.database.read() as session:
        one = session.scalars(select(Article).where(Article.title == "one")).one()
    with web.database.write() as session:
        assert articles.withdraw_article(session, one.id, now=NOW)
        assert not articles.withdraw_article(session, one.id, now=NOW + timedelta(hours=1))
    # Its feed still has it.
    web.poll(item("one", title="One again"), item("two"))

    def candidate_titles(newsletter: Newsletter) -> list[str]:
        with web.database.read() as session:
            source = article_queries.usable(
                newsletter.id, NOW + timedelta(hours=1), timedelta(days=30)
            )
            return list(
                session.scalars(
                    select(Article.title)
                    .where(Article.id.in_(select(source.subquery().c.article_id)))
                    .order_by(Article.id)
                )
            )

    assert candidate_titles(web.daily) == candidate_titles(web.weekly) == ["two"]
    web.put_in(url="https://news.example/one", title="T")
    assert set(candidate_titles(web.daily)) == {"One again", "two"}


def test_what_staff_put_in_stays_when_the_feed_goes(web: Web) -> None:
    web.publish(item("by-hand"), item("backlog"), item("own"))
    web.put_in(url="https://news.example/by-hand", title="H")
    web.add()
    web.add(to=web.weekly)
    with web.database.write() as session:
        articles.add_article(
            session,
            session.merge(web.daily),
            url="https://news.example/backlog",
            title="B",
            now=NOW,
        )
        newsletter_feeds.remove(session, newsletter_feeds.find(session, URL))
    assert web.due() == ["H", "backlog"]
    assert web.due(backlog=True) == []
    assert web.due(web.weekly, backlog=True) == []
    assert len(web.titles()) == 3


def test_what_is_deleted_at_its_source_is_still_due(web: Web) -> None:
    web.start()
    web.poll(item("one"), item("two"))
    web.poll(item("two"))
    assert sorted(web.due()) == ["one", "two"]
