"""`mailer feed add`, `remove`, `refresh`, `accept` and `discard`: change feeds and what came from them."""

from dataclasses import asdict

import click

from mailer.app import App
from mailer.cli.base import Command, json_option, opened, warn_if_nothing_builds
from mailer.cli.feed.show import held_message, warn
from mailer.cli.long_running import stop_signals
from mailer.cli.output import message, print_json
from mailer.errors import FeedError, Refused, SeveralFeeds
from mailer.feeds import moved, new_feed, newsletter_feeds
from mailer.feeds import refresh as refreshing
from mailer.feeds.new_feed import AddedFeed
from mailer.feeds.sandbox.reader import FeedReader
from mailer.feeds.store import Refreshed
from mailer.models import ImageSource
from mailer.newsletters import newsletters
from mailer.text.english import command, pluralise


@click.command(cls=Command)
@click.argument("url")
@click.option(
    "--newsletter",
    "slug",
    metavar="SLUG",
    required=True,
    help="The newsletter that takes its articles.",
)
@click.option(
    "--category",
    "categories",
    metavar="C",
    multiple=True,
    help="Only articles in this category. Repeatable.",
)
@click.option("--allow-private", is_flag=True, help="Permit an address on your own network.")
@click.option(
    "--images",
    type=click.Choice([source.value for source in ImageSource]),
    help="Take pictures from the feed, from the articles' own pages, or not at all.",
)
@json_option
def add(
    url: str,
    slug: str,
    categories: tuple[str, ...],
    allow_private: bool,
    images: str | None,
    as_json: bool,
) -> None:
    """Add the feed at URL to a newsletter.

    URL may be a web page, such as the site's front page, if it names one feed, not counting those of
    comments. The feed is fetched once. The articles that it has now are backlog: only a new reader's first
    digest may hold some of them. To add the feed to another newsletter, repeat the command.

    \b
    Example:
      mailer feed add https://www.news.example/feed --newsletter daily --category Politics
    """
    wanted = [name for name in (category.strip() for category in categories) if name]
    with opened() as app:
        added = _add(app, url, slug, wanted, allow_private=allow_private, images=images)
        with app.database.read() as session:
            (listed,) = newsletter_feeds.listed(session, added.url)
            row = newsletter_feeds.find(session, added.url)
            missing, known = newsletter_feeds.unknown_categories(session, row, wanted)
            (overview,) = newsletters.overviews(session, slug)
        if added.page is not None:
            message(f"{added.page} is a web page; its feed is {added.url}")
        warn(added.url, added.warnings)
        if missing:
            message(
                f"warning: no article is in {', '.join(missing)} yet; "
                f"there are {', '.join(known) or 'no categories'}"
            )
        if as_json:
            print_json(asdict(listed) | {"articles": added.articles, "warnings": added.warnings})
        elif added.fetched:
            number = pluralise(added.articles, "article")
            message(f"added {added.url}: {number}, as backlog of {slug}")
        else:
            message(f"{slug} now takes articles from {added.url} too")
        warn_if_nothing_builds(app)
        if not (as_json or overview.schedules):
            message(f"next: mailer schedule add {slug} NAME --at 07:00 --zone Europe/Paris")


def _add(
    app: App,
    url: str,
    slug: str,
    categories: list[str],
    *,
    allow_private: bool,
    images: str | None,
) -> AddedFeed:
    """Fetch the feed and add it; if the page names several feeds, name the command for each.

    Raises:
        Refused: the page at `url` names several feeds.
    """
    with app.database.read() as session:
        newsletter_id = newsletters.find(session, slug).id
    try:
        with FeedReader() as reader:
            return new_feed.add_feed(
                app.feed_context(reader),
                url,
                newsletter_id,
                categories=categories,
                allow_private=allow_private,
                images=None if images is None else ImageSource(images),
            )
    except SeveralFeeds as error:
        options = ["--newsletter", slug]
        for name in categories:
            options += ["--category", name]
        options += ["--allow-private"] if allow_private else []
        options += [] if images is None else ["--images", images]
        commands = (f"`{command('feed', 'add', feed, *options)}`" for feed in error.feeds)
        raise Refused(
            f"{url} is a web page that names several feeds; type one of {', '.join(commands)}"
        ) from error


@click.command(cls=Command)
@click.argument("urls", metavar="[URL]...", nargs=-1)
@json_option
def refresh(urls: tuple[str, ...], as_json: bool) -> None:
    """Fetch these feeds now, or all of them, whether or not they changed.

    \b
    Example:
      mailer feed refresh
    """
    with opened() as app:
        with app.database.read() as session:
            ids = (
                [newsletter_feeds.find(session, url).id for url in dict.fromkeys(urls)]
                if urls
                else [row.id for row in newsletter_feeds.listed(session)]
            )
        notice = "stopping; fetches under way are abandoned"
        with stop_signals(notice) as interrupted, FeedReader() as reader:
            results = refreshing.refresh(
                app.feed_context(reader),
                ids,
                unconditional=True,
                is_draining=interrupted,
                is_aborting=interrupted,
            )
    if as_json:
        data = [asdict(result) for result in results]
        print_json([{key: row[key] for key in row if key != "feed_id"} for row in data])
    for result in results:
        _show_result(result, as_json)
    failed = [result for result in results if result.error is not None]
    for result in failed:
        message(f"{result.url}: {result.error}")
    if failed:
        raise FeedError(
            f"{len(failed)} of {pluralise(len(results), 'feed')} could not be refreshed and keep what "
            "they had; `mailer feed refresh` tries again"
        )
    if len(results) < len(ids):
        raise FeedError(
            f"stopped before the end: {len(results)} of {pluralise(len(ids), 'feed')} refreshed; "
            "repeating the command continues"
        )
    if not ids and not as_json:
        message("there are no feeds; `mailer feed add URL --newsletter SLUG` adds one")


@click.command(cls=Command)
@click.argument("url")
@click.option("--newsletter", "slug", metavar="SLUG", help="Only from this one.")
@json_option
def remove(url: str, slug: str | None, as_json: bool) -> None:
    """Remove a feed from all newsletters, or from one.

    Its articles leave the newsletter, except those that come from another feed too. Readers keep what
    they were sent.

    \b
    Example:
      mailer feed remove https://www.news.example/feed --newsletter weekly
    """
    with opened() as app:
        with app.database.write() as session:
            row = newsletter_feeds.find(session, url)
            if slug is None:
                newsletter_feeds.remove(session, row)
            else:
                newsletter_feeds.detach(session, row, newsletters.find(session, slug))
        with app.database.read() as session:
            left = newsletter_feeds.listed(session, url)
    if as_json:
        takers = left[0].newsletters if left else []
        print_json({"url": url, "removed": not left, "newsletters": takers})
    elif left:
        message(f"{slug} no longer takes articles from {url}")
    else:
        message(f"removed {url}")


@click.command(cls=Command)
@click.argument("url")
@json_option
def accept(url: str, as_json: bool) -> None:
    """Accept that a feed's site has moved: its new address, and the entries that are held.

    Known articles get their new addresses and are not sent again; only new ones are due.

    \b
    Example:
      mailer feed accept https://www.news.example/feed
    """
    with opened() as app, app.database.write() as session:
        row = newsletter_feeds.find(session, url)
        former, was_held = row.url, row.held_at is not None
        arrived = moved.accept(session, row, now=app.times.wall())
        address = row.url
    same = arrived.updated + arrived.unchanged
    if as_json:
        print_json({"url": address, "new": arrived.new, "known": same})
        return
    if address != former:
        message(f"{former} is fetched at {address} from now on")
    if was_held:
        known = pluralise(same, "entry is a known article", "entries are known articles")
        message(f"{address}: {known}, {pluralise(arrived.new, 'is', 'are')} new")


@click.command(cls=Command)
@click.argument("url")
@json_option
def discard(url: str, as_json: bool) -> None:
    """Discard the entries of a feed that are held; they are ignored for good.

    Entries that arrive later come in as usual.

    \b
    Example:
      mailer feed discard https://www.news.example/feed
    """
    with opened() as app, app.database.write() as session:
        row = newsletter_feeds.find(session, url)
        number, forgotten = moved.discard(session, row, now=app.times.wall())
        address = row.url
    if forgotten:
        earlier = pluralise(forgotten, "earlier one is", "earlier ones are")
        warn(
            address, [f"too many were discarded: {earlier} forgotten, and new if the feed has them"]
        )
    if as_json:
        print_json({"url": address, "discarded": number})
    else:
        ignored = pluralise(number, "entry is ignored", "entries are ignored")
        message(f"{address}: {ignored} for good")


def _show_result(result: Refreshed, as_json: bool) -> None:
    warn(result.url, result.warnings)
    if result.held:
        why = "because the site seems to have moved"
        message(f"{result.url}: {held_message(result.held, result.url, why)}")
    elif result.error is None and not as_json:
        message(
            f"{result.url}: {result.new} new, {result.updated} changed, {result.unchanged} as before"
        )
