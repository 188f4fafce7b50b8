"""`mailer db restore`: puts a backup in the place of the database."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailer.cli.base import Command, confirmed, json_option, opened, yes_option
from mailer.cli.copy_progress import stoppable_copy
from mailer.cli.output import message, print_json
from mailer.clock import format_instant
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.database_copies.replay import ReplayCounts
    from mailer.database_copies.restoring.told import Restored


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@yes_option
@json_option
def restore(file: Path, yes: bool, as_json: bool) -> None:
    """Put the backup FILE in the place of the database; stop all processes of the mailer first.

    People who left, were suppressed or were erased after the backup stay so: the journal beside the database
    names them. Nothing is sent afterwards until `mailer resume`.

    \b
    Example:
      mailer db restore /var/backups/mailer-before-upgrade.db
    """
    from mailer.database_copies.restore import restore as restore_database

    with opened(check_schema=False) as app:
        where = app.settings.database_url
        if not confirmed(f"Replace the database {where} by {file}?", yes=yes):
            raise click.Abort
        with stoppable_copy("read") as (_, is_stopping):
            done = restore_database(
                app.database,
                file,
                fingerprint=app.keys.fingerprint(),
                lease=app.settings.lease,
                now=app.times.wall(),
                is_stopping=is_stopping,
            )
    if as_json:
        print_json(asdict(done) | {"journal_is_lost": done.journal.is_lost})
    _tell(done)


def _tell(done: "Restored") -> None:
    when = "an unknown time" if done.made_at is None else format_instant(done.made_at)
    message(f"the database is now as it was at {when}")
    if done.journal.is_lost:
        message(
            "warning: the journal of what happened since then is lost: who left, complained or was erased "
            "after the backup is on the list again. Whatever you know of them, such as mails in which people "
            "ask to be left alone, enter it before you resume"
        )
    if done.counts.entries:
        message(f"done again, from the journal: {_acts(done.counts)}")
    if done.counts.lost_readers:
        lost = pluralise(done.counts.lost_readers, "subscription")
        message(
            f"confirmed after the backup, and so lost: {lost}; these people have to sign up again"
        )
    message("sign-ups, settings of newsletters, articles and reports since the backup are lost")
    if done.replaced is not None:
        message(
            f"the replaced database is kept as {done.replaced}: it holds personal data, so delete it once "
            "all is well"
        )
    message(
        "nothing is sent until you have seen what went out since the backup; next: mailer resume"
    )


def _acts(counts: "ReplayCounts") -> str:
    parts = [
        f"{number} {what}"
        for number, what in (
            (counts.erased, "erased"),
            (counts.left, "left"),
            (counts.returned, "came back"),
            (counts.suppressed, "suppressed"),
            (counts.lifted, "no longer suppressed"),
        )
        if number
    ]
    people = ", ".join(parts) or "nobody left, was suppressed or was erased"
    return f"{people}; {pluralise(counts.digests, 'digest')} went out after the backup"
