"""`mailer article`: lists, adds, edits and withdraws articles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import Column, message, print_json, print_list
from mailer.cli.parameters import ROW_ID
from mailer.clock import parse_instant
from mailer.feeds import articles
from mailer.feeds.articles import ListedArticle
from mailer.newsletters import newsletters

if TYPE_CHECKING:
    from mailer.app import App


@click.group(cls=Group)
def article() -> None:
    """Manage articles."""


@article.command
@click.option(
    "--newsletter", "slug", metavar="SLUG", required=True, help="The newsletter that gets it."
)
@click.option("--url", metavar="U", required=True, help="Where it can be read.")
@click.option("--title", metavar="T", required=True, help="Its headline.")
@click.option("--summary", metavar="S", default="", help="A few words about it, text or HTML.")
@click.option("--published", metavar="ISO", help="Such as 2026-11-24T06:00Z (default: now).")
@json_option
def add(
    slug: str, url: str, title: str, summary: str, published: str | None, as_json: bool
) -> None:
    """Add an article to a newsletter, so that it goes out with the next digests.

    \b
    Example:
      mailer article add --newsletter daily --url https://www.news.example/fair --title "The fair"
    """
    instant = None if published is None else parse_instant(published)
    with opened() as app:
        now = app.times.wall()
        with app.database.write() as session:
            article_id, is_new = articles.add_article(
                session,
                newsletters.find(session, slug),
                url=url,
                title=title,
                summary=summary,
                published=instant,
                now=now,
            )
        added = _read(app, article_id)
    if not is_new:
        message(f"article {article_id} was known by its address and keeps its text")
    if as_json:
        print_json(added)
    else:
        # Most often the year was mistyped.
        later = f", from {added.published:%Y-%m-%d %H:%M} UTC on" if added.published > now else ""
        message(
            f"article {article_id} is in {slug}{later}; `mailer digest plan` shows who would get it"
        )


@article.command("list")
@click.option("--newsletter", "slug", metavar="SLUG", help="Only the articles in this one.")
@click.option("--unsent", is_flag=True, help="Only those that nobody has been sent.")
@json_option
def list_(slug: str | None, unsent: bool, as_json: bool) -> None:
    """List the articles, latest arrival first.

    \b
    Example:
      mailer article list --newsletter daily --unsent
    """
    with opened() as app, app.database.read() as session:
        newsletter = None if slug is None else newsletters.find(session, slug)
        rows = articles.list_articles(session, newsletter=newsletter, unsent=unsent)
    columns: Sequence[Column] = (
        "id",
        "published",
        "title",
        "newsletters",
        ("state", _state),
        "url",
    )
    print_list(rows, columns, as_json=as_json)


@article.command
@click.argument("article_id", metavar="ID", type=ROW_ID)
@click.option("--title", metavar="T", help="Its headline.")
@click.option("--summary", metavar="S", help="A few words about it, text or HTML.")
@click.option("--url", metavar="U", help="Where it can be read.")
@click.option("--image", metavar="U", help="The address of its picture; empty for none.")
@json_option
def edit(article_id: int, as_json: bool, **changes: str | None) -> None:
    """Change an article in all newsletters. Its feed does not change it any more.

    \b
    Example:
      mailer article edit 17 --title "The fair opens on Friday"
    """
    with opened() as app:
        with app.database.write() as session:
            is_out = articles.edit_article(session, article_id, **changes, now=app.times.wall())
        edited = _read(app, article_id)
    if is_out:
        message("a digest that is built already has it, and stays as it is")
    if as_json:
        print_json(edited)
    else:
        message(f"article {article_id} is changed; its feed does not change it any more")


@article.command
@click.argument("article_id", metavar="ID", type=ROW_ID)
@json_option
def withdraw(article_id: int, as_json: bool) -> None:
    """Stop sending an article, in every newsletter. `mailer article add` undoes that.

    \b
    Example:
      mailer article withdraw 17
    """
    with opened() as app:
        with app.database.write() as session:
            was_due = articles.withdraw_article(session, article_id, now=app.times.wall())
        withdrawn = _read(app, article_id)
    if as_json:
        print_json(withdrawn)
    elif was_due:
        message(f"article {article_id} is withdrawn; digests that are built already keep it")
    else:
        message(f"article {article_id} was withdrawn already")


def _read(app: "App", article_id: int) -> ListedArticle:
    with app.database.read() as session:
        (row,) = articles.list_articles(session, ids=(article_id,))
    return row


def _state(row: ListedArticle) -> str | None:
    """Say in what an article differs from others; None if in nothing."""
    words = ["withdrawn"] if row.withdrawn else []
    if row.closed:
        words.append("closed")
    if row.backlog:
        everywhere = set(row.backlog) == set(row.newsletters)
        words.append("backlog" if everywhere else f"backlog of {', '.join(row.backlog)}")
    if row.edited:
        words.append("edited")
    return ", ".join(words) or None
