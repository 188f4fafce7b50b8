"""Lets staff add, edit, withdraw and list articles. Works in the caller's transaction."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.errors import AlreadyExists, NotFound, Refused
from mailer.feeds.canonical import absolute_url, canonical_url
from mailer.feeds.reading.pictures import first_image
from mailer.feeds.reading.sanitise import one_line, summarise
from mailer.models import (
    Article,
    ArticleCategory,
    Delivery,
    DroppedArticle,
    Edition,
    EditionArticle,
    Newsletter,
    NewsletterArticle,
)
from mailer.models.delivery import HAD

_SHOWN: Final = 100
"""Characters of an address that an error shows."""


@dataclass(frozen=True)
class ListedArticle:
    """An article and its newsletters; `backlog` names those where only newcomers get it.

    `closed` is true once a digest that held it is purged.
    """

    id: int
    title: str
    url: str
    published: datetime
    first_seen: datetime
    author: str | None
    image: str | None
    categories: tuple[str, ...]
    newsletters: tuple[str, ...]
    backlog: tuple[str, ...]
    edited: bool
    withdrawn: bool
    closed: bool


def add_article(
    session: Session,
    newsletter: Newsletter,
    *,
    url: str,
    title: str,
    summary: str = "",
    published: datetime | None = None,
    now: datetime,
) -> tuple[int, bool]:
    """Put an article into a newsletter, so that it is due to its readers.

    An article that is known by its address keeps its text, and goes to readers who started before it came
    in. One that was withdrawn, or dropped from this newsletter, is due again.

    Args:
        summary: plain text or HTML; it is sanitised.
        published: aware; the default is now.

    Returns:
        The article's id, and whether it is new.

    Raises:
        Refused: the address is no web address, the title is empty, or the article is closed.
        AlreadyExists: it is in the newsletter, and due.
    """
    address = absolute_url(url)
    if address is None:
        raise Refused(f"{_short(url)} is not an http or https address; give the article's own")
    if not one_line(title):
        raise Refused("an article needs a title; give --title")
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    canonical = canonical_url(address)
    article = session.scalar(select(Article).where(Article.canonical_url == canonical))
    is_new = article is None
    if article is None:
        article = Article(
            canonical_url=canonical,
            url=address,
            title=one_line(title),
            summary_html=summarise(summary, address),
            image_url=first_image(summary, address),
            published_at=published or now,
            first_seen_at=now,
            updated_at=now,
        )
        session.add(article)
        session.flush()
    _make_due(session, article, newsletter, now)
    return article.id, is_new


def _make_due(session: Session, article: Article, newsletter: Newsletter, now: datetime) -> None:
    """Put an article into a newsletter; undo what kept it from being due.

    Raises:
        AlreadyExists: it is in the newsletter, and due.
        Refused: it is closed.
    """
    if article.closed_at is not None:
        raise Refused(
            f"article {article.id} is closed: a digest that held it is older than the retention, so nobody "
            "can tell who has had it; give it another --url, as a new article"
        )
    row = session.get(NewsletterArticle, (newsletter.id, article.id))
    dropped = session.get(DroppedArticle, (newsletter.id, article.id))
    may_be_due = article.withdrawn_at is None and dropped is None
    if row is not None and not row.backlog and may_be_due:
        raise AlreadyExists(
            f"article {article.id} is in {newsletter.slug} already, and is due; "
            f"`mailer article edit {article.id}` changes what it says"
        )
    article.withdrawn_at = None
    if dropped is not None:
        session.delete(dropped)
    if row is None:
        row = NewsletterArticle(newsletter_id=newsletter.id, article_id=article.id, added_at=now)
        session.add(row)
    row.backlog, row.by_staff = False, True
    session.flush()


def edit_article(
    session: Session,
    article_id: int,
    *,
    title: str | None = None,
    summary: str | None = None,
    url: str | None = None,
    image: str | None = None,
    now: datetime,
) -> bool:
    """Change an article in all newsletters; what is None stays. No feed changes it any more.

    Args:
        summary: plain text or HTML; it is sanitised.
        url: where its readers are sent. Feeds still know it by the address that they give.
        image: an address, or an empty string for none.

    Returns:
        Whether a built digest has the article, and stays as it is.

    Raises:
        NotFound: there is no such article.
        Refused: nothing is given, the title is empty, or an address is no web address.
    """
    # A refresh that has read the article must not write over what staff change.
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    article = _get(session, article_id)
    if title is None and summary is None and url is None and image is None:
        raise Refused("nothing to change; give --title, --summary, --url or --image")
    if title is not None and not one_line(title):
        raise Refused("an article needs a title; give --title")
    for address in (url, image or None):
        if address is not None and absolute_url(address) is None:
            raise Refused(f"{_short(address)} is not an http or https address; give a whole one")
    if title is not None:
        article.title = one_line(title)
    if url is not None:
        article.url = absolute_url(url) or article.url
    if summary is not None:
        article.summary_html = summarise(summary, article.url)
    if image is not None:
        article.image_url = absolute_url(image)
    article.edited_at = article.updated_at = now
    session.flush()
    in_edition = select(EditionArticle.article_id).where(EditionArticle.article_id == article_id)
    return article.closed_at is not None or session.scalar(in_edition.limit(1)) is not None


def withdraw_article(session: Session, article_id: int, *, now: datetime) -> bool:
    """Withdraw an article from all newsletters; False if it was withdrawn already.

    It stays in the digests that are already built.

    Raises:
        NotFound: there is no such article.
    """
    article = _get(session, article_id)
    was_due = article.withdrawn_at is None
    article.withdrawn_at = article.withdrawn_at or now
    session.flush()
    return was_due


def _short(address: str) -> str:
    """Shorten an address for an error, so that the next step is not lost behind it."""
    if len(address) <= _SHOWN:
        return repr(address)
    return f"{address[:_SHOWN]!r}… (of {len(address)} characters)"


def _get(session: Session, article_id: int) -> Article:
    """Get an article, locked for a change.

    Raises:
        NotFound: there is no such article.
    """
    article = session.get(Article, article_id, with_for_update=True)
    if article is None:
        raise NotFound(f"there is no article {article_id}; `mailer article list` shows them")
    return article


def list_articles(
    session: Session,
    *,
    newsletter: Newsletter | None = None,
    unsent: bool = False,
    ids: tuple[int, ...] = (),
) -> list[ListedArticle]:
    """List articles, the latest arrival first.

    Args:
        newsletter: only those in it.
        unsent: only those in no edition that any reader has had or is being sent.
        ids: only these; empty means all.
    """
    query = select(Article).order_by(Article.id.desc())
    if newsletter is not None:
        in_newsletter = NewsletterArticle.newsletter_id == newsletter.id
        query = query.where(
            Article.id.in_(select(NewsletterArticle.article_id).where(in_newsletter))
        )
    if unsent:
        query = query.where(Article.closed_at.is_(None), ~_was_sent())
    if ids:
        query = query.where(Article.id.in_(ids))
    articles = session.scalars(query).all()
    chosen = query.with_only_columns(Article.id).order_by(None)
    categories = defaultdict(list)
    for article_id, category in session.execute(
        select(ArticleCategory.article_id, ArticleCategory.category)
        .where(ArticleCategory.article_id.in_(chosen))
        .order_by(ArticleCategory.category)
    ):
        categories[article_id].append(category)
    newsletters = defaultdict(list)
    for article_id, slug, backlog in session.execute(
        select(NewsletterArticle.article_id, Newsletter.slug, NewsletterArticle.backlog)
        .join(Newsletter, Newsletter.id == NewsletterArticle.newsletter_id)
        .where(NewsletterArticle.article_id.in_(chosen))
        .order_by(Newsletter.slug)
    ):
        newsletters[article_id].append((slug, backlog))
    return [
        ListedArticle(
            id=article.id,
            title=article.title,
            url=article.url,
            published=article.published_at,
            first_seen=article.first_seen_at,
            author=article.author,
            image=article.image_url,
            categories=tuple(categories[article.id]),
            newsletters=tuple(slug for slug, _ in newsletters[article.id]),
            backlog=tuple(slug for slug, backlog in newsletters[article.id] if backlog),
            edited=article.edited_at is not None,
            withdrawn=article.withdrawn_at is not None,
            closed=article.closed_at is not None,
        )
        for article in articles
    ]


def _was_sent() -> ColumnElement[bool]:
    """Tell in SQL whether any reader has had an article, or is being sent it."""
    return (
        select(EditionArticle.edition_id)
        .join(Edition, Edition.id == EditionArticle.edition_id)
        # The digest's deliveries are found by an index, the edition's among them are not.
        .join(
            Delivery,
            and_(Delivery.digest_id == Edition.digest_id, Delivery.edition_id == Edition.id),
        )
        .where(EditionArticle.article_id == Article.id, Delivery.status.in_(HAD))
        .exists()
    )
