"""`mailer digest plan`: who would get what."""

from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.orm import Session

from mailer import address as addresses
from mailer.address import Address
from mailer.cli.base import Command, json_option, opened
from mailer.cli.digest.reader import one_reader
from mailer.cli.digest.show import print_editions, warn_of_subject
from mailer.cli.digest.target import Target, find_target, slot_options
from mailer.cli.output import message, print_json, print_table
from mailer.digests.build.editions import render_editions
from mailer.digests.editing import edits
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection import explain
from mailer.digests.selection import plan as planning
from mailer.digests.selection.plan import Plan
from mailer.models import Article
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App


@click.command(cls=Command)
@slot_options
@click.option("--as", "reader", metavar="ADDRESS", help="What this reader would get, or why not.")
@json_option
def plan(reference: str, slot: str | None, reader: str | None, as_json: bool) -> None:
    """Show who would get what at a slot, and why others would get nothing. Sends nothing.

    A slot is one time at which a schedule sends a digest, named by its local date and time.

    \b
    Example:
      mailer digest plan daily/morning
      mailer digest plan daily/morning --as reader@example.com
    """
    address = None if reader is None else addresses.parse(reader)
    with opened() as app:
        data = _planned(app, reference, slot, address)
    if as_json:
        print_json(data)
        return
    _print(data)


def _planned(
    app: "App", reference: str, slot: str | None, address: Address | None
) -> dict[str, Any]:
    now = app.times.wall()
    with app.database.read() as session:
        about = find_target(session, reference, slot, now=now)
        found, rendered = render_editions(
            planning.plan_digest(session, about.schedule, about.slot),
            about.newsletter,
            app.render,
        )
        reason = _why_not(session, about, found)
        data: dict[str, Any] = {
            "newsletter": about.newsletter.slug,
            "schedule": about.schedule.name,
            "slot": about.slot.name,
            "due_at": about.slot.due_at,
            "zone": about.schedule.zone,
            "would_send": reason is None,
            "reason": reason,
            "editions": [
                {
                    "articles": [_article(one) for one in planning.articles_of(found, cohort)],
                    "readers": cohort.readers,
                    "more": cohort.more,
                }
                for cohort in found.choice.cohorts
            ],
            "carried_over": len(found.choice.carried_over),
            "expiring": planning.expiring(about.schedule, found),
            "excluded": planning.excluded(session, about.schedule, found),
            "articles": explain.ends(session, about.schedule, found),
            "subject": rendered[0][1].subject if rendered else None,
            "edits": _edits(session, found),
        }
        if address is not None:
            outcome = one_reader(app, session, about, found, address, now=now)
            articles = planning.articles_of(found, outcome.cohort) if outcome.cohort else []
            data["reader"] = {
                "address": address.typed,
                "schedule": outcome.schedule,
                "articles": [_article(one) for one in articles],
                "reason": outcome.reason,
                "told": outcome.told,
                "others": [
                    _article(one) | {"why": why}
                    for one, why in explain.of_reader(session, about.schedule, found, address.key)
                    if why != explain.DUE
                ],
            }
    return data


def _edits(session: Session, found: Plan) -> dict[str, Any] | None:
    """What staff changed in the digest, or None."""
    if found.edits is None:
        return None
    return {
        "subject": found.edits.subject,
        "intro": found.edits.intro_text,
        "lead": found.edits.lead_id,
        "dropped": list(edits.dropped(session, found.edits)),
    }


def _why_not(session: Session, about: Target, found: Plan) -> str | None:
    """Why nothing would be sent, or None."""
    digest = slot_lookup.digest_at(session, about.schedule, about.slot)
    if digest is not None:
        return f"digest {digest.id} stands for this slot already"
    if about.schedule.paused_at is not None:
        return f"the schedule is paused; resume it with `mailer schedule resume {about.reference}`"
    return found.reason


def _article(article: Article) -> dict[str, Any]:
    return {"id": article.id, "title": article.title, "url": article.url}


def _print(data: dict[str, Any]) -> None:
    print_editions(data["editions"])
    if data["excluded"]:
        print_table(("no mail because", "readers"), list(data["excluded"].items()))
    ends = {word: number for word, number in data["articles"].items() if number}
    if ends:
        print_table(("articles", "number"), list(ends.items()))
    reference = f"{data['newsletter']}/{data['schedule']}"
    message(f"slot {data['slot']} of {reference} ({data['zone']})")
    if data["subject"]:
        message(f"subject: {data['subject']}")
        warn_of_subject(data["subject"])
    if data["edits"]:
        message(f"edited by staff; `mailer digest edit {reference}` shows how")
    if data["reason"]:
        message(f"nothing would be sent: {data['reason']}")
    if data["carried_over"]:
        # The table above counts only what is printed for nobody.
        waiting = pluralise(data["carried_over"], "article waits", "articles wait")
        message(f"{waiting} for a later digest of some readers")
    if data["expiring"]:
        message(
            f"warning: {data['expiring']} of them will be too old before there is a place for them, "
            "if as much comes in for each digest as for this one; "
            "raise --max-articles or --max-age of the schedule"
        )
    if "reader" in data:
        _print_reader(data["reader"])


def _print_reader(reader: dict[str, Any]) -> None:
    if reader["reason"] is not None:
        message(f"no mail: {reader['address']} {reader['told']}")
    else:
        number = pluralise(len(reader["articles"]), "article")
        message(f"{reader['address']} gets {number if reader['articles'] else 'a letter'}")
    rows = [("in it", one["id"], one["title"]) for one in reader["articles"]]
    rows += [(one["why"], one["id"], one["title"]) for one in reader["others"]]
    if rows:
        print_table(("for this reader", "article", "title"), rows)
