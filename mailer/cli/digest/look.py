"""`mailer digest list`, `show` and `cancel`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mailer.cli.output import message, print_json, print_table
from mailer.cli.verb import confirmed, json_option, opened, yes_option
from mailer.delivery import running
from mailer.digests import summary
from mailer.digests.summary import DigestSummary
from mailer.errors import Refused
from mailer.operations import newsletters

if TYPE_CHECKING:
    from mailer.app import App


@click.command("list")
@click.argument("slug", required=False)
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List digests, the newest first: all of them, or those of one newsletter.

    \b
    Example:
      mailer digest list daily
    """
    with opened() as app, app.database.read() as session:
        newsletter_id = newsletters.find(session, slug).id if slug else None
        found = summary.digests(session, newsletter_id=newsletter_id)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("id", "schedule", "slot", "status", "subject or reason"),
        [
            (
                one.id,
                f"{one.newsletter}/{one.schedule}",
                one.slot,
                one.status,
                one.subject or one.reason,
            )
            for one in found
        ],
    )


@click.command
@click.argument("digest_id", metavar="ID", type=int)
@json_option
def show(digest_id: int, as_json: bool) -> None:
    """Show a digest: its editions, and where its deliveries stand.

    \b
    Example:
      mailer digest show 12
    """
    with opened() as app:
        print_digest(app, digest_id, as_json)


@click.command
@click.argument("digest_id", metavar="ID", type=int)
@yes_option
@json_option
def cancel(digest_id: int, yes: bool, as_json: bool) -> None:
    """End a digest for good. What has not gone out is cancelled.

    Its articles are due again to those readers who did not get it. Mails that are on their way to the
    relay at this moment still arrive.

    \b
    Example:
      mailer digest cancel 12
    """
    with opened() as app:
        with app.database.read() as session:
            found = summary.find(session, digest_id)
        if not confirmed(f"Cancel digest {digest_id}, {found.subject!r}?", yes=yes):
            raise Refused("nothing was cancelled")
        with app.database.write() as session:
            done = running.cancel_digest(session, digest_id, app.times.wall())
        if not done:
            raise Refused(
                f"digest {digest_id} is over ({found.status}); "
                "`mailer digest list` shows which are not"
            )
        print_digest(app, digest_id, as_json)


def print_digest(app: "App", digest_id: int, as_json: bool) -> None:
    """Print one digest as `show` does.

    Raises:
        NotFound: there is none of that number.
    """
    data = digest_data(app, digest_id)
    if as_json:
        print_json(data)
        return
    deliveries = data.pop("deliveries")
    editions = data.pop("editions")
    print_table(("", ""), [*data.items(), *deliveries.items()])
    print_editions(editions)
    if deliveries["unknown"]:
        message(
            "unknown: nobody knows whether the relay took these mails, and they are not sent again;"
            f" see mailer delivery list --digest {digest_id} --status unknown"
        )


def print_editions(editions: Sequence[Mapping[str, Any]]) -> None:
    """Print who gets which articles, a line for each; nothing where there is no edition."""
    rows = [
        # Number and readers stand in an edition's first line only.
        ((number, edition["readers"]) if place == 0 else ("", "")) + (article["title"],)
        for number, edition in enumerate(editions, 1)
        for place, article in enumerate(edition["articles"])
    ]
    if rows:
        print_table(("edition", "readers", "article"), rows)


def digest_data(app: "App", digest_id: int) -> dict[str, Any]:
    """A digest as `show --json` prints it."""
    with app.database.read() as session:
        found: DigestSummary = summary.find(session, digest_id)
        counts = asdict(summary.counts(session, digest_id))
        editions = [asdict(one) for one in summary.editions(session, digest_id)]
    in_doubt = counts.pop("in_doubt")
    return {
        **asdict(found),
        "editions": editions,
        "deliveries": counts,
        "in_doubt": in_doubt,
    }
