"""Shows how far an import is, and afterwards what it did and which rows it could not use."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailer.cli.long_running import rows_in_lines, stop_signals
from mailer.cli.output import message, print_json_and_list, print_table
from mailer.errors import Refused
from mailer.subscribers.entering.csv_import import ImportCounts
from mailer.subscribers.importing.presets import Preset
from mailer.subscribers.importing.read import ReaderFile
from mailer.text.english import pluralise


@contextmanager
def shown_progress(file: Path, *, dry_run: bool) -> Iterator[Callable[[int], None]]:
    """Show how many rows are done; raise `Refused` between two chunks after Ctrl-C or SIGTERM."""
    with stop_signals("finishing the rows under way") as interrupted, _rows(file) as show:

        def progress(rows: int) -> None:
            show(rows)
            if interrupted():
                end = "; nothing was changed" if dry_run else ""
                raise Refused(f"stopped before the end{end}")

        yield progress


def print_report(
    counts: ImportCounts, reader_file: ReaderFile, *, dry_run: bool, as_json: bool
) -> None:
    """Print the counts, and for people the first rejected rows; as JSON all of them."""
    if as_json:
        data = {**counts.as_data(), "preset": reader_file.preset, "warnings": reader_file.warnings}
        rejected = ({"line": row.line, "reason": row.reason} for row in counts.rejected)
        print_json_and_list(data, "rejected", rejected)
    else:
        results = [counts.results[result] for result in counts.possible]
        row = (counts.rows, *results, len(counts.rejected))
        print_table(("rows", *counts.possible, "rejected"), [row])
        for problem in counts.rejected.first:
            message(f"line {problem.line}: {problem.reason}")
        more = len(counts.rejected) - len(counts.rejected.first)
        if more:
            message(f"and {pluralise(more, 'more row')} that cannot be used; --json lists all")
        if reader_file.preset is not Preset.GENERIC:
            message(f"the file was read as an export of {reader_file.preset}")
    for warning in reader_file.warnings:
        message(f"warning: {warning}")
    if dry_run:
        message("this was a dry run: nothing was changed")


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
