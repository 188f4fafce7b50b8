"""`mailer subscriber import`: enters the readers of a file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.long_running import rows_in_lines, stop_signals
from mailer.cli.output import message, print_json, print_table
from mailer.cli.subscriber.choice import choice_options, chosen_schedule
from mailer.errors import Refused
from mailer.subscribers.csv_import import import_readers, parse_columns
from mailer.subscribers.csv_table import read_table
from mailer.subscribers.staff_changes import EntryResult


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@choice_options
@click.option("--consent-source", metavar="TEXT", required=True, help="Where they agreed.")
@click.option("--map", "columns", metavar="email=Column,…", help="Which columns to read.")
@click.option("--dry-run", is_flag=True, help="Only count, change nothing.")
@json_option
def import_(
    file: Path,
    newsletter: str,
    schedule: str | None,
    consent_source: str,
    columns: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import readers from a CSV file with a column `email`, and optionally a column `name`.

    Readers who left or are suppressed are not brought back. Repeating the command continues an
    interrupted import.

    \b
    Example:
      mailer subscriber import readers.csv --newsletter daily --consent-source "old system, opt-in"
      mailer subscriber import readers.csv --newsletter daily --consent-source fair --map email=E-Mail
    """
    if not consent_source.strip():
        raise Refused("--consent-source must say where these people agreed")
    with opened() as app:
        choice = chosen_schedule(app, newsletter, schedule)
        with _progress(file, dry_run=dry_run) as progress:
            counts = import_readers(
                app.database,
                read_table(file, parse_columns(columns)),
                choice,
                f"import {file.name}: {consent_source.strip()}",
                app.signup_context,
                clock=app.times.wall,
                dry_run=dry_run,
                progress=progress,
            )
    if as_json:
        print_json(counts.as_data())
    else:
        results = [counts.results[result] for result in EntryResult]
        print_table(
            ("rows", *EntryResult, "rejected"), [(counts.rows, *results, len(counts.rejected))]
        )
        for row in counts.rejected:
            message(f"line {row.line}: {row.reason}")
    if dry_run:
        message("this was a dry run: nothing was changed")


@contextmanager
def _progress(file: Path, *, dry_run: bool) -> Iterator[Callable[[int], None]]:
    """Show how many rows are done; raise `Refused` between two chunks after Ctrl-C or SIGTERM."""
    with stop_signals("finishing the rows under way") as interrupted, _rows(file) as show:

        def progress(rows: int) -> None:
            show(rows)
            if interrupted():
                end = "; nothing was changed" if dry_run else ""
                raise Refused(f"stopped before the end{end}")

        yield progress


@contextmanager
def _rows(file: Path) -> Iterator[Callable[[int], None]]:
    """Show progress all the time on a terminal, elsewhere as a line now and then."""
    if not sys.stderr.isatty():
        yield rows_in_lines(message)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(str(file), total=None)
        yield lambda rows: bar.update(task, completed=rows)
