"""`mailer suppression import`: suppresses the addresses in a file."""

from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.import_options import read_options, reading_options
from mailer.cli.import_report import print_report, shown_progress
from mailer.cli.suppression.reason import read_reason, reason_option
from mailer.subscribers.entering.csv_import import ImportCounts
from mailer.subscribers.entering.decide import EntryResult
from mailer.subscribers.entering.rejected_rows import RejectedRows
from mailer.subscribers.entering.suppression_import import import_suppressions
from mailer.subscribers.importing.read import read_rows
from mailer.subscribers.importing.rows import ReaderStatus

_RESULTS = (EntryResult.ADDED, EntryResult.UPDATED, EntryResult.UNCHANGED)


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@reason_option
@reading_options
@click.option("--dry-run", is_flag=True, help="Only count, change nothing.")
@json_option
def import_(file: Path, reason: str, dry_run: bool, as_json: bool, **reading: str | None) -> None:
    """Block the addresses in a file: one a line, or CSV with a column `email`.

    They get no more mail, even if they are imported again. Rows that say themselves that the address bounced
    or that its owner complained keep that reason. Repeating the command continues an interrupted import.

    \b
    Example:
      mailer suppression import do-not-mail.csv --reason "objected to advertising"
    """
    kind, note = read_reason(reason)
    with opened() as app, RejectedRows() as rejected:
        # Whatever else a row says of them: nobody in the file gets mail.
        reader_file = read_rows(file, read_options(app, ReaderStatus.SUPPRESSED, **reading))
        with shown_progress(file, dry_run=dry_run) as progress:
            counts = ImportCounts(rejected, progress, _RESULTS)
            import_suppressions(
                app.database,
                reader_file.rows,
                kind,
                f"import {file.name}" + (f": {note}" if note else ""),
                app.keys,
                counts,
                clock=app.times.wall,
                dry_run=dry_run,
            )
        print_report(counts, reader_file, dry_run=dry_run, as_json=as_json)
