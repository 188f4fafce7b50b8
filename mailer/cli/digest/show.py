"""`mailer digest list` and `show`, and what commands print of a digest after they changed it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from mailer.cli.base import Command, json_option, opened, warn_if_nothing_sends
from mailer.cli.output import Column, message, print_json, print_list, print_record, print_table
from mailer.cli.parameters import digest_id_argument
from mailer.digests import listings
from mailer.digests.listings import DigestSummary, EditionSummary
from mailer.models import DigestStatus
from mailer.monitoring.digest_progress import describe_digest, ways_out
from mailer.monitoring.planned_digest import PlannedEdition
from mailer.newsletters import newsletters
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App

_LONG_SUBJECT: Final = 70
"""Characters of a subject that mail programs show, more or less."""


@click.command("list", cls=Command)
@click.argument("slug", required=False)
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List digests, newest first: all of them, or those of one newsletter.

    \b
    Example:
      mailer digest list daily
    """
    with opened() as app, app.database.read() as session:
        newsletter_id = newsletters.find(session, slug).id if slug else None
        rows = listings.digests(session, newsletter_id=newsletter_id)
    columns: list[Column] = [
        "id",
        ("schedule", lambda row: f"{row.newsletter}/{row.schedule}"),
        "slot",
        "status",
        ("subject or reason", _subject_or_reason),
    ]
    print_list(rows, columns, as_json=as_json)


@click.command(cls=Command)
@digest_id_argument
@json_option
def show(digest_id: int, as_json: bool) -> None:
    """Show a digest: its editions, how many mails have been sent, and how fast.

    \b
    Example:
      mailer digest show 12
    """
    with opened() as app:
        data = _read(app, digest_id)
    if as_json:
        print_json(data)
        return
    print_record({name: data[name] for name in data if name != "editions"} | data["deliveries"])
    print_editions(data["editions"])
    if data["status"] == DigestStatus.PAUSED:
        message(f"paused ({data['reason']}): {ways_out(digest_id)}")
    if data["purged_at"] is not None:
        message(
            "older than the retention: its texts and deliveries were deleted, and its articles are closed; "
            "the numbers were kept"
        )
    _tell_of_doubt(data)
    if any(data["returned"].values()):
        numbers = ", ".join(
            f"{number} {kind}" for kind, number in data["returned"].items() if number
        )
        message(f"came back: {numbers}; `mailer digest report {digest_id}` shows the rates")


def print_outcome(app: "App", digest_id: int, as_json: bool) -> None:
    """Print one line on a digest that was just changed: how it is, and what comes next.

    If it is to be sent and nothing sends it, warn of that too. As JSON it is what `show` prints.

    Raises:
        NotFound: there is no such digest.
    """
    data = _read(app, digest_id)
    if as_json:
        print_json(data)
    else:
        message(_in_words(data))
        _tell_of_doubt(data)
    if data["status"] == DigestStatus.SENDING:
        warn_if_nothing_sends(app)


def _read(app: "App", digest_id: int) -> dict[str, Any]:
    with app.database.read() as session:
        return describe_digest(
            session, digest_id, give_up_after=app.settings.give_up_after, now=app.times.wall()
        )


def _tell_of_doubt(data: dict[str, Any]) -> None:
    if data["deliveries"]["unknown"] > data["dropped"]:
        number = data["id"]
        message(
            "unknown: nobody knows whether the relay took these mails, and they are not sent again; "
            f"`mailer delivery list --digest {number} --status unknown` shows them, "
            f"`mailer delivery resolve --digest {number}` with --resend or --drop settles them"
        )


def _in_words(data: dict[str, Any]) -> str:
    number, reference = data["id"], f"{data['newsletter']}/{data['schedule']}"
    deliveries, reason = data["deliveries"], data["reason"]
    digest = f"digest {number} of {reference}"
    sums = f"{deliveries['sent']} of {pluralise(deliveries['total'], 'mail')} sent"
    if deliveries["failed"]:
        sums += f", {deliveries['failed']} failed"
    if deliveries["unknown"]:
        sums += f", {deliveries['unknown']} in doubt"
    why = f" ({reason})" if reason else ""
    return {
        DigestStatus.PAUSED: f"{digest} is paused{why}, {sums}; {ways_out(number)}",
        DigestStatus.SENDING: (
            f"{digest} is being sent{why}, {sums}; `mailer digest show {number}` shows its progress"
        ),
        DigestStatus.SENT: f"{digest} is sent, {sums}; `mailer digest report {number}` reports on it",
        DigestStatus.CANCELLED: (
            f"{digest} is cancelled, {sums}; for readers who did not get it, its articles are due again at "
            f"the next slot: `mailer digest plan {reference}`"
        ),
        DigestStatus.SKIPPED: (
            f"nothing is sent for slot {data['slot']} of {reference}: {reason}; "
            "new articles are due at the next slot"
        ),
    }.get(
        data["status"],
        f"{digest} is {data['status']}; `mailer digest show {number}` shows its progress",
    )


def print_editions(editions: Sequence[EditionSummary | PlannedEdition]) -> None:
    """Print who gets which articles, a line for each; nothing if there is no edition."""
    rows: list[tuple[object, ...]] = [
        (number, edition.readers, "", "(a letter, without articles)")
        for number, edition in enumerate(editions, 1)
        if not edition.articles
    ]
    rows += [
        # Number and readers stand in an edition's first line only.
        ((number, edition.readers) if place == 0 else ("", "")) + (article.id, article.title)
        for number, edition in enumerate(editions, 1)
        for place, article in enumerate(edition.articles)
    ]
    if rows:
        # Staff name an article by its number to edit it, lead with it or drop it.
        print_table(("edition", "readers", "article", "title"), rows)


def warn_of_subject(subject: str) -> None:
    """Warn if a subject is longer than mail programs show."""
    length = len(subject)
    if length > _LONG_SUBJECT:
        message(
            f"warning: the subject has {length} characters, and mail programs show about "
            f"{_LONG_SUBJECT}; give another with `mailer digest edit --subject`"
        )


def _subject_or_reason(row: DigestSummary) -> str | None:
    if row.status is DigestStatus.PAUSED:
        return f"paused ({row.reason}); `mailer digest resume {row.id}` continues it"
    return row.subject or row.reason
