"""`mailer digest edit` and `once`: what staff change in a coming digest, and digests of their own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.cli.base import Command, json_option, opened
from mailer.cli.digest.preview import shown_content
from mailer.cli.digest.target import Target
from mailer.cli.idle import warn_if_nothing_builds
from mailer.cli.output import message, print_json
from mailer.cli.parameters import ROW_ID
from mailer.clock import zone as zone_named
from mailer.digests.editing import edits
from mailer.digests.editing.edits import Changes
from mailer.digests.editing.introduction import Intro, TextFormat, read_intro
from mailer.digests.editing.once import add_once, rule_at
from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.digests.selection import article_queries
from mailer.errors import Refused
from mailer.models import Edits, Newsletter, Schedule
from mailer.newsletters import newsletters
from mailer.text.english import moment, pluralise

if TYPE_CHECKING:
    from mailer.app import App

_ENDINGS = {".md": TextFormat.MARKDOWN, ".markdown": TextFormat.MARKDOWN, ".html": TextFormat.HTML}
_ENDINGS |= {".htm": TextFormat.HTML, ".txt": TextFormat.TEXT}

intro_option = click.option(
    "--intro",
    "intro_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Words above the articles: .md, .html or .txt.",
)


@click.command(cls=Command)
@click.argument("reference", metavar="SLUG/NAME")
@click.option("--subject", metavar="S", help="Instead of the lead's title.")
@intro_option
@click.option("--lead", type=ROW_ID, metavar="ARTICLE", help="The article that comes first.")
@click.option(
    "--drop", type=ROW_ID, multiple=True, metavar="ARTICLE", help="Never send this one. Repeatable."
)
@click.option("--clear", is_flag=True, help="Forget all edits of the coming digest.")
@json_option
def edit(
    reference: str,
    subject: str | None,
    intro_file: Path | None,
    lead: int | None,
    drop: tuple[int, ...],
    clear: bool,
    as_json: bool,
) -> None:
    """Change the coming digest, whichever slot it is for. The next build uses the changes up.

    A dropped article is withheld from all digests of the newsletter for good, until --clear takes it
    back before the digest is built. Without options the changes so far are shown.

    \b
    Example:
      mailer digest edit daily/morning --subject "The fair opens" --intro words.md --lead 17
    """
    changes = Changes(subject=subject, intro=_read(intro_file), lead=lead, drop=drop)
    if clear and changes != Changes():
        raise click.UsageError("--clear forgets all changes; give it alone, and then the others")
    with opened() as app:
        now = app.times.wall()
        with app.database.write() as session:
            newsletter, schedule = schedule_lookup.find(session, reference)
            if clear:
                cleared = edits.clear(session, schedule)
            elif changes != Changes():
                edits.edit(session, newsletter, schedule, changes, now=now)
                _try_out(app, session, newsletter, schedule)
            data = _as_data(session, newsletter, schedule, app)
    if as_json:
        print_json(data)
        return
    if clear:
        message("the edits are forgotten" if cleared else "there were no edits")
    _tell(data)


@click.command(cls=Command)
@click.argument("slug")
@click.option("--at", metavar='"YYYY-MM-DD HH:MM"', required=True, help="The wall time.")
@click.option("--zone", metavar="IANA", required=True, help="Such as Europe/Paris.")
@click.option("--subject", metavar="S", help="Instead of the lead's title.")
@intro_option
@click.option(
    "--article",
    "articles",
    type=ROW_ID,
    multiple=True,
    metavar="ID",
    help="Holds this one; the first leads. Repeatable.",
)
@json_option
def once(
    slug: str,
    at: str,
    zone: str,
    subject: str | None,
    intro_file: Path | None,
    articles: tuple[int, ...],
    as_json: bool,
) -> None:
    """Send something once, to the readers of all schedules of the newsletter SLUG.

    With --article it holds these articles, for everybody who has not had them; with nothing but --intro
    it is a letter to everybody; else it holds what is due. Until its slot it can be planned, previewed,
    edited, paused and removed like any schedule, under the name that is printed.

    \b
    Example:
      mailer digest once daily --at "2026-12-24 18:00" --zone Europe/Paris --intro letter.md
    """
    rule = rule_at(at, zone)
    changes = Changes(subject=subject, intro=_read(intro_file))
    with opened() as app:
        now = app.times.wall()
        with app.database.write() as session:
            newsletter = newsletters.find(session, slug)
            schedule = add_once(session, newsletter, rule, changes, articles=articles, now=now)
            if changes != Changes() or articles:
                _try_out(app, session, newsletter, schedule)
            data = _as_data(session, newsletter, schedule, app)
            twins = _at_the_same_time(session, newsletter, schedule)
        for twin in twins:
            message(
                f"warning: {twin} is a one-off for the same time; `mailer schedule remove {twin}` "
                "takes it back if this was typed twice"
            )
        if as_json:
            print_json(data)
        else:
            _tell(data)
            message(
                f"`mailer digest plan {data['schedule']}` shows who would get it, "
                f"`mailer schedule remove {data['schedule']}` takes it back"
            )
        warn_if_nothing_builds(app)


def _at_the_same_time(session: Session, newsletter: Newsletter, schedule: Schedule) -> list[str]:
    """The newsletter's other one-offs for that time: readers would get both."""
    return [
        f"{newsletter.slug}/{name}"
        for name in session.scalars(
            select(Schedule.name)
            .where(
                Schedule.newsletter_id == newsletter.id,
                Schedule.id != schedule.id,
                Schedule.once == schedule.once,
                Schedule.removed_at.is_(None),
            )
            .order_by(Schedule.name)
        )
    ]


def _read(file: Path | None) -> Intro | None:
    if file is None:
        return None
    how = _ENDINGS.get(file.suffix.lower())
    if how is None:
        raise Refused(f"{file} must end in .md, .html or .txt, which says how it is written")
    try:
        return read_intro(file.read_text(encoding="utf-8-sig"), how)
    except (OSError, UnicodeDecodeError) as error:
        told = (
            f"{error.strerror}; check the path"
            if isinstance(error, OSError)
            else "it is not in UTF-8; save it as UTF-8"
        )
        raise Refused(f"cannot read {file}: {told}") from error


def _try_out(app: "App", session: Session, newsletter: Newsletter, schedule: Schedule) -> None:
    """Make the mail, so that what cannot be sent is refused now and not at the slot.

    Raises:
        BadMessage, BadTemplate: it cannot.
    """
    slot = slot_lookup.next_free_slot(session, schedule, now=app.times.wall())
    if slot is not None:
        shown_content(app, session, Target(newsletter, schedule, slot), None)


def _as_data(
    session: Session, newsletter: Newsletter, schedule: Schedule, app: "App"
) -> dict[str, Any]:
    found: Edits | None = article_queries.load_edits(session, schedule.id, None)
    slot = slot_lookup.next_free_slot(session, schedule, now=app.times.wall())
    return {
        "schedule": f"{newsletter.slug}/{schedule.name}",
        "slot": slot.name if slot else None,
        "due_at": slot.due_at if slot else None,
        "zone": schedule.zone,
        "holds": schedule.holds,
        "subject": found.subject if found else None,
        "intro": found.intro_text if found else None,
        "lead": found.lead_id if found else None,
        "dropped": list(edits.dropped(session, found)) if found else [],
    }


def _tell(data: dict[str, Any]) -> None:
    when = "no slot to come"
    if data["due_at"] is not None:
        when = moment(data["due_at"].astimezone(zone_named(data["zone"])), data["zone"])
    message(f"{data['schedule']}: {when}")
    for name in ("subject", "lead"):
        if data[name] is not None:
            message(f"{name}: {data[name]}")
    if data["intro"]:
        message(f"introduction: {pluralise(len(data['intro']), 'character')}")
    if data["dropped"]:
        message(f"dropped: {', '.join(map(str, data['dropped']))}")
    if not (data["subject"] or data["lead"] or data["intro"] or data["dropped"]):
        message("nothing is edited")
