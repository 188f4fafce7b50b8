"""`mailer article`: the articles that came in."""

from dataclasses import asdict
from typing import Any

import click

from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import message, print_json, print_table
from mailer.cli.parameters import ROW_ID
from mailer.clock import parse_instant
from mailer.feeds import articles
from mailer.feeds.articles import ListedArticle
from mailer.newsletters import newsletters


@click.group(cls=Group)
def article() -> None:
    """The articles that came in."""


@article.command
@click.option("--newsletter", "slug", metavar="SLUG", required=True, help="Who gets it.")
@click.option("--url", metavar="U", required=True, help="Where it can be read.")
@click.option("--title", metavar="T", required=True, help="Its headline.")
@click.option("--summary", metavar="S", default="", help="A few words about it, text or HTML.")
@click.option("--published", metavar="ISO", help="Such as 2026-11-24T06:00Z; else now.")
@json_option
def add(
    slug: str, url: str, title: str, summary: str, published: str | None, as_json: bool
) -> None:
    """Put an article into a newsletter: it is due to its readers from now on.

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
        with app.database.read() as session:
            (found,) = articles.list_articles(session, ids=(article_id,))
    if not is_new:
        message(f"article {article_id} was known by its address and keeps its text")
    if as_json:
        print_json(_as_data(found))
    else:
        # Most often the year was mistyped.
        later = f", from {found.published:%Y-%m-%d %H:%M} UTC on" if found.published > now else ""
        message(
            f"article {article_id} is in {slug}{later}; `mailer digest plan` shows who would get it"
        )


@article.command("list")
@click.option("--newsletter", "slug", metavar="SLUG", help="Only the articles in this one.")
@click.option("--unsent", is_flag=True, help="Only those that went to nobody yet.")
@json_option
def list_(slug: str | None, unsent: bool, as_json: bool) -> None:
    """List the articles, the latest arrival first.

    \b
    Example:
      mailer article list --newsletter daily --unsent
    """
    with opened() as app, app.database.read() as session:
        newsletter = None if slug is None else newsletters.find(session, slug)
        found = articles.list_articles(session, newsletter=newsletter, unsent=unsent)
    if as_json:
        print_json([_as_data(one) for one in found])
        return
    print_table(
        ("id", "published", "title", "newsletters", "state", "url"),
        [
            (one.id, one.published, one.title, ", ".join(one.newsletters), _state(one), one.url)
            for one in found
        ],
    )


@article.command
@click.argument("article_id", metavar="ID", type=ROW_ID)
@click.option("--title", metavar="T", help="Its headline.")
@click.option("--summary", metavar="S", help="A few words about it, text or HTML.")
@click.option("--url", metavar="U", help="Where its readers are sent.")
@click.option("--image", metavar="U", help="The address of its picture; an empty one for none.")
@json_option
def edit(article_id: int, as_json: bool, **wishes: str | None) -> None:
    """Change what an article says, in all newsletters; its feed then changes it no more.

    \b
    Example:
      mailer article edit 17 --title "The fair opens on Friday"
    """
    with opened() as app:
        with app.database.write() as session:
            is_out = articles.edit_article(session, article_id, **wishes, now=app.times.wall())
        with app.database.read() as session:
            (found,) = articles.list_articles(session, ids=(article_id,))
    if is_out:
        message("a digest that is built already has it, and stays as it is")
    if as_json:
        print_json(_as_data(found))
    else:
        message(f"article {article_id} is changed; its feed does not change it any more")


@article.command
@click.argument("article_id", metavar="ID", type=ROW_ID)
@json_option
def withdraw(article_id: int, as_json: bool) -> None:
    """Send an article to nobody any more, in any newsletter. `mailer article add` takes it back.

    \b
    Example:
      mailer article withdraw 17
    """
    with opened() as app:
        with app.database.write() as session:
            was_due = articles.withdraw_article(session, article_id, now=app.times.wall())
        with app.database.read() as session:
            (found,) = articles.list_articles(session, ids=(article_id,))
    if as_json:
        print_json(_as_data(found))
    elif was_due:
        message(f"article {article_id} is withdrawn; digests that are built already keep it")
    else:
        message(f"article {article_id} was withdrawn already")


def _state(one: ListedArticle) -> str | None:
    """What keeps an article from being like others, for people."""
    told = ["withdrawn"] if one.withdrawn else []
    if one.backlog:
        everywhere = set(one.backlog) == set(one.newsletters)
        told.append("backlog" if everywhere else f"backlog of {', '.join(one.backlog)}")
    if one.edited:
        told.append("edited")
    return ", ".join(told) or None


def _as_data(found: ListedArticle) -> dict[str, Any]:
    return asdict(found) | {
        "categories": list(found.categories),
        "newsletters": list(found.newsletters),
        "backlog": list(found.backlog),
    }
