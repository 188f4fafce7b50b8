"""`mailer digest list` and `show`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.idle import warn_if_nothing_sends
from mailer.cli.output import message, print_json, print_table
from mailer.cli.parameters import ROW_ID
from mailer.digests import summary
from mailer.digests.summary import DigestSummary
from mailer.models import DigestStatus
from mailer.monitoring.digest_progress import read_progress, why_still_sending
from mailer.newsletters import newsletters
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App

LONG_SUBJECT = 70
"""Characters of a subject that mail programs show, more or less."""


@click.command("list", cls=Command)
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
                _subject_or_reason(one),
            )
            for one in found
        ],
    )


@click.command(cls=Command)
@click.argument("digest_id", metavar="ID", type=ROW_ID)
@json_option
def show(digest_id: int, as_json: bool) -> None:
    """Show a digest: its editions, how many mails are sent, and how fast it goes.

    \b
    Example:
      mailer digest show 12
    """
    with opened() as app:
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
    known = [(name, value) for name, value in data.items() if value is not None]
    print_table(("", ""), [*known, *deliveries.items()])
    print_editions(editions)
    if data["status"] == DigestStatus.PAUSED:
        message(
            f"paused ({data['reason']}): `mailer digest resume {digest_id}` goes on, "
            f"`mailer digest cancel {digest_id}` ends it"
        )
    _tell_of_doubt(digest_id, deliveries["unknown"] - data["dropped"])


def tell_digest(app: "App", digest_id: int, as_json: bool) -> None:
    """After a command did something to a digest: one line that says how it stands and what comes next.

    Where it is to be sent and nothing sends it, that is told as well. With --json it is what `show` prints.
    """
    data = digest_data(app, digest_id)
    if as_json:
        print_json(data)
    else:
        message(_standing(data))
        _tell_of_doubt(digest_id, data["deliveries"]["unknown"] - data["dropped"])
    if data["status"] == DigestStatus.SENDING:
        warn_if_nothing_sends(app)


def _tell_of_doubt(digest_id: int, unsettled: int) -> None:
    if unsettled:
        message(
            "unknown: nobody knows whether the relay took these mails, and they are not sent again; "
            f"`mailer delivery list --digest {digest_id} --status unknown` shows them, "
            f"`mailer delivery resolve --digest {digest_id}` with --resend or --drop settles them"
        )


def _standing(data: Mapping[str, Any]) -> str:
    number, deliveries = data["id"], data["deliveries"]
    what = f"digest {number} of {data['newsletter']}/{data['schedule']}"
    sums = f"{deliveries['sent']} of {pluralise(deliveries['total'], 'mail')} sent"
    if deliveries["failed"]:
        sums += f", {deliveries['failed']} failed"
    if deliveries["unknown"]:
        sums += f", {deliveries['unknown']} in doubt"
    match data["status"]:
        case DigestStatus.PAUSED:
            return (
                f"{what} is paused ({data['reason']}), {sums}; `mailer digest resume {number}` goes on, "
                f"`mailer digest cancel {number}` ends it"
            )
        case DigestStatus.SENDING:
            why = f" ({data['reason']})" if data["reason"] else ""
            return f"{what} is being sent{why}, {sums}; `mailer digest show {number}` tells how it goes"
        case DigestStatus.SENT:
            return f"{what} is sent, {sums}; `mailer digest report {number}` tells how it went"
        case DigestStatus.CANCELLED:
            return (
                f"{what} is cancelled, {sums}; whoever did not get it is due its articles again, at the "
                f"next slot: `mailer digest plan {data['newsletter']}/{data['schedule']}`"
            )
        case DigestStatus.SKIPPED:
            return (
                f"nothing is sent for slot {data['slot']} of {data['newsletter']}/{data['schedule']}: "
                f"{data['reason']}; what comes in is due at the next slot"
            )
    return f"{what} is {data['status']}; `mailer digest show {number}` tells how it goes"


def print_editions(editions: Sequence[Mapping[str, Any]]) -> None:
    """Print who gets which articles, a line for each; nothing where there is no edition."""
    rows: list[tuple[object, ...]] = [
        (number, edition["readers"], "", "(a letter, without articles)")
        for number, edition in enumerate(editions, 1)
        if not edition["articles"]
    ]
    rows += [
        # Number and readers stand in an edition's first line only.
        ((number, edition["readers"]) if place == 0 else ("", ""))
        + (article["id"], article["title"])
        for number, edition in enumerate(editions, 1)
        for place, article in enumerate(edition["articles"])
    ]
    if rows:
        # An article is named by its number where it is edited, led with or dropped.
        print_table(("edition", "readers", "article", "title"), rows)


def warn_of_subject(subject: str) -> None:
    """Tell where a subject is longer than mail programs show."""
    length = len(subject)
    if length > LONG_SUBJECT:
        message(
            f"warning: the subject has {length} characters, and mail programs show about "
            f"{LONG_SUBJECT}; give another with `mailer digest edit --subject`"
        )


def digest_data(app: "App", digest_id: int) -> dict[str, Any]:
    """A digest as `show --json` prints it."""
    with app.database.read() as session:
        found: DigestSummary = summary.find(session, digest_id)
        sums = summary.counts(session, digest_id)
        progress = read_progress(session, digest_id, found.status, sums, now=app.times.wall())
        reason = found.reason or why_still_sending(
            session, digest_id, found.status, sums, give_up_after=app.settings.give_up_after
        )
        editions = [asdict(one) for one in summary.editions(session, digest_id)]
    counts = asdict(sums)
    in_doubt = counts.pop("in_doubt")
    return {
        **asdict(found),
        "reason": reason,
        "editions": editions,
        "deliveries": counts,
        "in_doubt": in_doubt,
        **asdict(progress),
    }


def _subject_or_reason(one: DigestSummary) -> str | None:
    if one.status is DigestStatus.PAUSED:
        return f"paused ({one.reason}); go on with `mailer digest resume {one.id}`"
    return one.subject or one.reason
