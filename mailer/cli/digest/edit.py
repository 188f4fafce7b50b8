"""`mailer digest edit` and `once`: what staff change in a coming digest, and digests that go out once."""

from pathlib import Path
from typing import Any

import click

from mailer.cli.base import Command, json_option, opened, warn_if_nothing_builds
from mailer.cli.output import message, print_json
from mailer.cli.parameters import ROW_ID
from mailer.clock import zone as zone_named
from mailer.digests.editing import edits
from mailer.digests.editing.edits import EditChanges
from mailer.digests.editing.introduction import Intro, TextFormat, read_intro
from mailer.digests.editing.one_off import add_once, rule_at, same_time
from mailer.digests.schedules import schedule_lookup
from mailer.errors import Refused
from mailer.monitoring.planned_digest import read_edits
from mailer.monitoring.preview import check_coming_mail
from mailer.newsletters import newsletters
from mailer.text.english import moment, pluralise

_FORMATS = {".md": TextFormat.MARKDOWN, ".markdown": TextFormat.MARKDOWN, ".html": TextFormat.HTML}
_FORMATS |= {".htm": TextFormat.HTML, ".txt": TextFormat.TEXT}

_subject_option = click.option(
    "--subject", metavar="S", help="The subject, instead of the first article's title."
)
_intro_option = click.option(
    "--intro",
    "intro_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="An introduction above the articles: .md, .html or .txt.",
)


@click.command(cls=Command)
@click.argument("reference", metavar="SLUG/NAME")
@_subject_option
@_intro_option
@click.option("--lead", type=ROW_ID, metavar="ARTICLE", help="The article that comes first.")
@click.option(
    "--drop", type=ROW_ID, multiple=True, metavar="ARTICLE", help="Never send this one. Repeatable."
)
@click.option("--clear", is_flag=True, help="Remove all edits of the coming digest.")
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
    """Change the coming digest, whichever slot it is for. The changes apply to the next build only.

    A dropped article is left out of all digests of the newsletter for good, unless --clear takes it back
    before the digest is built. Without options, the edits so far are shown.

    \b
    Example:
      mailer digest edit daily/morning --subject "The fair opens" --intro words.md --lead 17
    """
    changes = EditChanges(subject=subject, intro=_read_intro(intro_file), lead=lead, drop=drop)
    if clear and changes != EditChanges():
        raise click.UsageError("--clear removes all edits; give it alone, and then the others")
    with opened() as app:
        now = app.times.wall()
        with app.database.write() as session:
            newsletter, schedule = schedule_lookup.find(session, reference)
            if clear:
                cleared = edits.clear(session, schedule)
            elif changes != EditChanges():
                edits.edit(session, newsletter, schedule, changes, now=now)
                check_coming_mail(
                    session, newsletter, schedule, keys=app.keys, render=app.render, now=now
                )
            data = read_edits(session, newsletter, schedule, now=now)
    if as_json:
        print_json(data)
        return
    if clear:
        message("the edits are removed" if cleared else "there were no edits")
    _print(data)


@click.command(cls=Command)
@click.argument("slug")
@click.option("--at", metavar='"YYYY-MM-DD HH:MM"', required=True, help="The local time.")
@click.option("--zone", metavar="IANA", required=True, help="Such as Europe/Paris.")
@_subject_option
@_intro_option
@click.option(
    "--article",
    "articles",
    type=ROW_ID,
    multiple=True,
    metavar="ID",
    help="An article to send; the first leads. Repeatable.",
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

    With --article it holds these articles, for every reader who has not received them. With only --intro
    it is a letter to all readers. Otherwise it holds what is due. Until that time it can be planned,
    previewed, edited, paused and removed like any schedule, under the name that is printed.

    \b
    Example:
      mailer digest once daily --at "2026-12-24 18:00" --zone Europe/Paris --intro letter.md
    """
    rule = rule_at(at, zone)
    changes = EditChanges(subject=subject, intro=_read_intro(intro_file))
    with opened() as app:
        now = app.times.wall()
        with app.database.write() as session:
            newsletter = newsletters.find(session, slug)
            schedule = add_once(session, newsletter, rule, changes, articles=articles, now=now)
            if changes != EditChanges() or articles:
                check_coming_mail(
                    session, newsletter, schedule, keys=app.keys, render=app.render, now=now
                )
            data = read_edits(session, newsletter, schedule, now=now)
            twins = [f"{slug}/{name}" for name in same_time(session, schedule)]
        for twin in twins:
            message(
                f"warning: {twin} is a one-off for the same time; `mailer schedule remove {twin}` "
                "removes it if this was typed twice"
            )
        if as_json:
            print_json(data)
        else:
            _print(data)
            message(
                f"`mailer digest plan {data['schedule']}` shows who would get it, "
                f"`mailer schedule remove {data['schedule']}` removes it"
            )
        warn_if_nothing_builds(app)


def _read_intro(file: Path | None) -> Intro | None:
    if file is None:
        return None
    text_format = _FORMATS.get(file.suffix.lower())
    if text_format is None:
        raise Refused(f"{file} must end in .md, .html or .txt, which says how it is written")
    try:
        return read_intro(file.read_text(encoding="utf-8-sig"), text_format)
    except OSError as error:
        raise Refused(f"cannot read {file}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise Refused(f"cannot read {file}: it is not in UTF-8; save it as UTF-8") from error


def _print(data: dict[str, Any]) -> None:
    when = "no coming slot"
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
