"""`mailer feed`: where articles come from.

What fetches feeds is imported by the commands that do so: a list must not wait for it.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailer.cli.base import Group, json_option, opened
from mailer.cli.idle import warn_if_nothing_builds
from mailer.cli.long_running import stop_signals
from mailer.cli.output import message, print_json, print_table
from mailer.clock import utc_now
from mailer.errors import FeedError, FeedUnreadable, Refused, SeveralFeeds
from mailer.feeds import newsletter_feeds
from mailer.feeds.newsletter_feeds import Listed
from mailer.feeds.sandbox.reader import FeedReader
from mailer.models import ImageSource
from mailer.newsletters import newsletters
from mailer.text.english import command, duration, pluralise

if TYPE_CHECKING:
    from mailer.feeds.refresh import Refreshed

_WARNINGS_SHOWN = 10
_HELD = ("entry is held", "entries are held")


@click.group(cls=Group)
def feed() -> None:
    """Where articles come from: RSS, Atom or JSON Feed."""


@feed.command
@click.argument("url")
@click.option("--newsletter", "slug", metavar="SLUG", required=True, help="Who takes its articles.")
@click.option(
    "--category",
    "categories",
    metavar="C",
    multiple=True,
    help="Only articles in this category; may be given several times.",
)
@click.option("--allow-private", is_flag=True, help="It may be on a network of your own.")
@click.option(
    "--images",
    type=click.Choice([source.value for source in ImageSource]),
    help="Pictures as the feed has them, from the articles' own pages, or none.",
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
    """Let a newsletter take the articles of the feed at URL.

    URL may be a web page, such as the site's front page, if it names one feed besides those of comments.
    The feed is fetched once. What it holds now is backlog: only a newcomer's first digest may take some
    of it. Again with another newsletter, the feed is attached there as well.

    \b
    Example:
      mailer feed add https://www.news.example/feed --newsletter daily --category Politics
    """
    from mailer.feeds import new_feed

    wanted = [name for name in (category.strip() for category in categories) if name]
    with opened() as app:
        with app.database.read() as session:
            newsletter_id = newsletters.find(session, slug).id
        try:
            with FeedReader() as reader:
                added = new_feed.add_feed(
                    app.database,
                    url,
                    newsletter_id,
                    categories=wanted,
                    allow_private=allow_private,
                    images=None if images is None else ImageSource(images),
                    reader=reader,
                    clock=app.times.wall,
                    interval=app.settings.feed_interval,
                )
        except SeveralFeeds as error:
            options = ["--newsletter", slug]
            for name in wanted:
                options += ["--category", name]
            options += ["--allow-private"] if allow_private else []
            options += [] if images is None else ["--images", images]
            commands = (f"`{command('feed', 'add', feed, *options)}`" for feed in error.feeds)
            raise Refused(
                f"{url} is a web page that names several feeds; type one of {', '.join(commands)}"
            ) from error
        with app.database.read() as session:
            (found,) = newsletter_feeds.listed(session, added.url)
            row = newsletter_feeds.find(session, added.url)
            missing, there = newsletter_feeds.unknown_categories(session, row, wanted)
            (overview,) = newsletters.overviews(session, slug)
        if added.page is not None:
            message(f"{added.page} is a web page; its feed is {added.url}")
        _warn(added.url, added.warnings)
        if missing:
            message(
                f"warning: no article is in {', '.join(missing)} yet; "
                f"there are {', '.join(there) or 'no categories'}"
            )
        if as_json:
            data = {"articles": added.articles, "warnings": list(added.warnings)}
            print_json(_as_data(found) | data)
        elif added.fetched:
            number = pluralise(added.articles, "article")
            message(f"added {added.url}: {number}, as backlog of {slug}")
        else:
            message(f"{slug} takes from {added.url} as well")
        warn_if_nothing_builds(app)
        if not (as_json or overview.schedules):
            message(f"next: mailer schedule add {slug} NAME --at 07:00 --zone Europe/Paris")


@feed.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the feeds: who takes from them, and how their last fetch went.

    \b
    Example:
      mailer feed list --json
    """
    with opened() as app, app.database.read() as session:
        found = newsletter_feeds.listed(session)
    if as_json:
        print_json([_as_data(one) for one in found])
        return
    now = app.times.wall()
    print_table(
        ("feed", "newsletters", "last read", "next fetch", "failing for", "what is the matter"),
        [
            (
                one.url,
                ", ".join(
                    taker.slug + (f" ({', '.join(taker.categories)})" if taker.categories else "")
                    for taker in one.newsletters
                ),
                one.last_success_at,
                None if one.gone_at else one.next_fetch_at,
                one.failing_since
                and duration(max(timedelta(), now - one.failing_since), roughly=True),
                _matter(one),
            )
            for one in found
        ],
    )


@feed.command
@click.argument("urls", metavar="[URL]...", nargs=-1)
@json_option
def refresh(urls: tuple[str, ...], as_json: bool) -> None:
    """Fetch these feeds now, or all of them, whatever they said last time.

    \b
    Example:
      mailer feed refresh
    """
    from mailer.feeds import refresh

    with opened() as app:
        with app.database.read() as session:
            ids = (
                [newsletter_feeds.find(session, url).id for url in dict.fromkeys(urls)]
                if urls
                else [one.id for one in newsletter_feeds.listed(session)]
            )
        tell = "stopping; fetches under way are abandoned"
        with stop_signals(tell) as interrupted, FeedReader() as reader:
            results = refresh.refresh(
                app.database,
                ids,
                unconditional=True,
                reader=reader,
                clock=app.times.wall,
                interval=app.settings.feed_interval,
                alerts=app.alerts,
                is_stopping=interrupted,
                is_ending=interrupted,
            )
    if as_json:
        print_json([_as_result(result) for result in results])
    for result in results:
        _warn(result.url, result.warnings)
        if result.held:
            message(
                f"{result.url}: {pluralise(result.held, *_HELD)}, because the site seems to have moved; "
                f"`{command('feed', 'accept', result.url)}` or "
                f"`{command('feed', 'discard', result.url)}`"
            )
        elif result.error is None and not as_json:
            message(
                f"{result.url}: {result.new} new, {result.updated} changed, "
                f"{result.unchanged} as before"
            )
    failed = [result for result in results if result.error is not None]
    for result in failed:
        message(f"{result.url}: {result.error}")
    if failed:
        raise FeedError(
            f"{len(failed)} of {pluralise(len(results), 'feed')} could not be refreshed, and what was "
            "there stays; "
            "`mailer feed refresh` again tries them anew"
        )
    if len(results) < len(ids):
        raise FeedError(
            f"stopped before the end: {len(results)} of {pluralise(len(ids), 'feed')} refreshed; "
            "repeating the command goes on"
        )
    if not ids and not as_json:
        message("there are no feeds; `mailer feed add URL --newsletter SLUG` makes one")


@feed.command
@click.argument("url")
@click.option("--newsletter", "slug", metavar="SLUG", help="Only this one stops taking from it.")
@json_option
def remove(url: str, slug: str | None, as_json: bool) -> None:
    """Stop taking articles from a feed; what nobody takes from is removed.

    Articles that no other feed brings are taken out of the newsletter. What readers had stays had.

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
        print_json(
            {"url": url, "removed": not left, "newsletters": _takers(left[0]) if left else []}
        )
    elif left:
        message(f"{slug} takes nothing from {url} any more")
    else:
        message(f"removed {url}")


@feed.command
@click.argument("url")
@json_option
def accept(url: str, as_json: bool) -> None:
    """Accept that a feed's site has moved: its new address, and what is held of it.

    Articles that are known get their new addresses and are not sent again; only those that are truly new
    are due.

    \b
    Example:
      mailer feed accept https://www.news.example/feed
    """
    from mailer.feeds import moved

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


@feed.command
@click.argument("url")
@json_option
def discard(url: str, as_json: bool) -> None:
    """Want nothing of what is held of a feed: those entries are ignored for good.

    What the feed brings after them comes in as ever.

    \b
    Example:
      mailer feed discard https://www.news.example/feed
    """
    from mailer.feeds import moved

    with opened() as app, app.database.write() as session:
        row = newsletter_feeds.find(session, url)
        number = moved.discard(session, row, now=app.times.wall())
        address = row.url
    if as_json:
        print_json({"url": address, "discarded": number})
    else:
        ignored = pluralise(number, "entry is ignored", "entries are ignored")
        message(f"{address}: {ignored} for good")


@feed.command
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@json_option
def parse(files: tuple[Path, ...], as_json: bool) -> None:
    """Read feeds from files and show what is understood of them. Needs no settings and no database.

    \b
    Example:
      mailer feed parse feed.xml --json
    """
    now = utc_now()
    with FeedReader() as reader:
        read = [_parsed(path, reader, now) for path in files]
    if as_json and (len(files) > 1 or "error" not in read[0]):
        several = [{"file": str(path)} | data for path, data in zip(files, read, strict=True)]
        print_json(several if len(files) > 1 else read[0])
    elif not as_json and (len(files) > 1 or "error" not in read[0]):
        for path, data in zip(files, read, strict=True):
            _show(path, data)
    if all("error" in data for data in read):
        raise FeedUnreadable(
            f"{files[0]}: {read[0]['error']}"
            if len(files) == 1
            else f"none of the {len(files)} files could be read; give files that hold a feed"
        )


def _parsed(path: Path, reader: FeedReader, now: datetime) -> dict[str, Any]:
    try:
        body = path.read_bytes()
    except OSError as error:
        return {"error": f"cannot be opened: {error.strerror or error}; check the path"}
    try:
        document = reader.parse(body, now=now)
    except FeedUnreadable as error:
        return {"error": str(error)}
    return {
        "title": document.title,
        "entries": [
            asdict(entry) | {"categories": list(entry.categories)} for entry in document.entries
        ],
        "warnings": list(document.warnings),
    }


def _show(path: Path, data: dict[str, Any]) -> None:
    if "error" in data:
        message(f"{path}: {data['error']}")
        return
    number = pluralise(len(data["entries"]), "entry", "entries")
    message(f"{path}: {data['title'] or 'no title'}, {number}")
    _warn(str(path), data["warnings"])
    print_table(
        ("published", "title", "url"),
        [(entry["published"], entry["title"], entry["url"]) for entry in data["entries"]],
    )


def _warn(where: str, warnings: Any) -> None:
    for warning in warnings[:_WARNINGS_SHOWN]:
        message(f"warning: {where}: {warning}")
    if len(warnings) > _WARNINGS_SHOWN:
        more = pluralise(len(warnings) - _WARNINGS_SHOWN, "more oddity", "more oddities")
        message(f"warning: {where}: and {more}")


def _takers(found: Listed) -> list[dict[str, Any]]:
    return [
        {"slug": taker.slug, "categories": list(taker.categories)} for taker in found.newsletters
    ]


def _as_data(found: Listed) -> dict[str, Any]:
    return asdict(found) | {
        "images": found.images.value,
        "newsletters": _takers(found),
    }


def _matter(found: Listed) -> str | None:
    if found.held_at is not None:
        accept, discard = (command("feed", verb, found.url) for verb in ("accept", "discard"))
        return f"{pluralise(found.held, *_HELD)}: `{accept}` or `{discard}`"
    if found.error is None and found.moved_url is not None:
        return f"has moved to {found.moved_url}: `{command('feed', 'accept', found.url)}`"
    return found.error


def _as_result(result: "Refreshed") -> dict[str, Any]:
    data = asdict(result) | {"warnings": list(result.warnings)}
    del data["feed_id"]
    return data
