"""`mailer feed list` and `parse`: show the feeds, and what is understood of a feed in a file."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import Column, message, print_json, print_list
from mailer.clock import utc_now
from mailer.errors import FeedUnreadable
from mailer.feeds import newsletter_feeds
from mailer.feeds.newsletter_feeds import ListedFeed
from mailer.feeds.sandbox.reader import FeedReader
from mailer.text.english import command, duration, pluralise

_WARNINGS_SHOWN: Final = 10

_MADE_OF_OTHERS: Final = frozenset({"canonical_url", "headline"})
"""What is made of an entry's other parts, and not printed."""


@click.command("list", cls=Command)
@json_option
def list_(as_json: bool) -> None:
    """List the feeds: which newsletters use them, and how the last fetch went.

    \b
    Example:
      mailer feed list --json
    """
    with opened() as app, app.database.read() as session:
        rows = newsletter_feeds.listed(session)
        now = app.times.wall()
    columns: Sequence[Column] = (
        ("feed", "url"),
        ("newsletters", _newsletters),
        ("last read", "last_success_at"),
        ("next fetch", lambda row: None if row.gone_at else row.next_fetch_at),
        (
            "failing for",
            lambda row: row.failing_since and duration(now - row.failing_since, roughly=True),
        ),
        ("problem", _problem),
    )
    print_list(rows, columns, as_json=as_json)


@click.command(cls=Command)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@json_option
def parse(files: tuple[Path, ...], as_json: bool) -> None:
    """Read feed files and show what a fetch would take from them. Needs no settings and no database.

    \b
    Example:
      mailer feed parse feed.xml --json
    """
    now = utc_now()
    with FeedReader() as reader:
        results = [_parse(path, reader, now) for path in files]
    unread = [result["error"] for result in results if "error" in result]
    if len(files) == 1 and unread:
        raise FeedUnreadable(f"{files[0]}: {unread[0]}")
    if as_json:
        named = [{"file": str(path)} | data for path, data in zip(files, results, strict=True)]
        print_json(named if len(files) > 1 else results[0])
    else:
        for path, data in zip(files, results, strict=True):
            _show_document(path, data)
    if len(unread) == len(files):
        raise FeedUnreadable(
            f"none of the {len(files)} files could be read; give files that hold a feed"
        )


def _parse(path: Path, reader: FeedReader, now: datetime) -> dict[str, Any]:
    try:
        document = reader.parse(path.read_bytes(), now=now)
    except OSError as error:
        return {"error": f"cannot be opened: {error.strerror or error}; check the path"}
    except FeedUnreadable as error:
        return {"error": str(error)}
    entries = [
        {name: value for name, value in vars(entry).items() if name not in _MADE_OF_OTHERS}
        for entry in document.entries
    ]
    return {"title": document.title, "entries": entries, "warnings": document.warnings}


def _show_document(path: Path, data: dict[str, Any]) -> None:
    if "error" in data:
        message(f"{path}: {data['error']}")
        return
    number = pluralise(len(data["entries"]), "entry", "entries")
    message(f"{path}: {data['title'] or 'no title'}, {number}")
    warn(str(path), data["warnings"])
    print_list(data["entries"], ("published", "title", "url"), as_json=False)


def warn(where: str, warnings: Sequence[str]) -> None:
    """Print the warnings about a feed, or the first of them."""
    for warning in warnings[:_WARNINGS_SHOWN]:
        message(f"warning: {where}: {warning}")
    if len(warnings) > _WARNINGS_SHOWN:
        more = pluralise(len(warnings) - _WARNINGS_SHOWN, "more warning")
        message(f"warning: {where}: and {more}")


def _newsletters(row: ListedFeed) -> str:
    return ", ".join(
        taker.slug + (f" ({', '.join(taker.categories)})" if taker.categories else "")
        for taker in row.newsletters
    )


def _problem(row: ListedFeed) -> str | None:
    if row.held_at is not None:
        return held_message(row.held, row.url)
    if row.error is None and row.moved_url is not None:
        return f"has moved to {row.moved_url}: `{command('feed', 'accept', row.url)}`"
    return row.error


def held_message(number: int, url: str, why: str = "") -> str:
    """Say how many entries of a feed are held, and which commands settle that."""
    entries = pluralise(number, "entry is held", "entries are held")
    accept, discard = (command("feed", verb, url) for verb in ("accept", "discard"))
    return f"{entries}{', ' if why else ''}{why}: `{accept}` or `{discard}`"
