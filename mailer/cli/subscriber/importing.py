"""`mailer subscriber import`: enters the readers of a file."""

from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.import_options import read_options, reading_options
from mailer.cli.import_report import print_report, shown_progress
from mailer.cli.subscriber.choice import choice_options, chosen_schedule
from mailer.errors import Refused
from mailer.subscribers.entering.csv_import import ImportCounts, import_readers
from mailer.subscribers.entering.rejected_rows import RejectedRows
from mailer.subscribers.importing.read import read_rows
from mailer.subscribers.importing.rows import ReaderStatus


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@choice_options
@click.option("--consent-source", metavar="TEXT", required=True, help="Where they agreed.")
@reading_options
@click.option(
    "--status",
    type=click.Choice(["active", "unsubscribed", "suppressed"]),
    default="active",
    help="What everybody in the file is at least, such as unsubscribed for a list of people who left.",
)
@click.option("--dry-run", is_flag=True, help="Only count, change nothing.")
@json_option
def import_(
    file: Path,
    newsletter: str,
    schedule: str | None,
    consent_source: str,
    status: str,
    dry_run: bool,
    as_json: bool,
    **reading: str | None,
) -> None:
    """Import readers from a CSV file, such as the export of another newsletter service.

    Readers who left or are suppressed, here or according to the file, are never mailed, whatever is imported
    later. Repeating the command continues an interrupted import.

    \b
    Example:
      mailer subscriber import readers.csv --newsletter daily --consent-source "old system, opt-in"
      mailer subscriber import readers.csv --newsletter daily --consent-source fair --map email=E-Mail
    """
    if not consent_source.strip():
        raise Refused("--consent-source must say where these people agreed")
    with opened() as app, RejectedRows() as rejected:
        choice = chosen_schedule(app, newsletter, schedule)
        options = read_options(app, ReaderStatus(status), **reading)
        reader_file = read_rows(file, options)
        with shown_progress(file, dry_run=dry_run) as progress:
            counts = ImportCounts(rejected, progress)
            import_readers(
                app.database,
                reader_file.rows,
                choice,
                f"import {file.name}: {consent_source.strip()}",
                app.signup_context,
                counts,
                clock=app.times.wall,
                dry_run=dry_run,
            )
        print_report(counts, reader_file, dry_run=dry_run, as_json=as_json)
