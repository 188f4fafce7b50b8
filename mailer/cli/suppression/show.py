"""`mailer suppression`: lists the suppressed addresses, and exports them. Never changes anything."""

from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.csv_output import write_csv
from mailer.cli.output import message, print_list
from mailer.permission import suppress
from mailer.subscribers.export import SUPPRESSION_COLUMNS, left_out, suppression_rows
from mailer.text.english import pluralise


@click.command("list", cls=Command)
@json_option
def list_(as_json: bool) -> None:
    """List the addresses that get no mail, and why: what came back, of which digest, or a note by staff.

    \b
    Example:
      mailer suppression list
    """
    with opened() as app, app.database.read() as session:
        rows = suppress.list_suppressions(session)
    all_or_one = ("newsletter", lambda row: row.newsletter or "all")
    detail = ("detail", "explanation")
    print_list(rows, ("address", all_or_one, "reason", detail, "since"), as_json=as_json)


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
def export(file: Path | None) -> None:
    """Export the addresses that get no mail of any newsletter, as CSV.

    FILE must not exist yet, and only you may read it. Without FILE the rows are printed. `mailer suppression
    import` takes the file back. Of erased people no address is known.

    \b
    Example:
      mailer suppression export suppressions.csv
    """
    with opened() as app, app.database.read() as session:
        write_csv(SUPPRESSION_COLUMNS, suppression_rows(session), file)
        erased, for_one = left_out(session)
    if erased:
        message(f"left out: {pluralise(erased, 'address', 'addresses')} that nobody knows any more")
    if for_one:
        message(f"left out: {pluralise(for_one, 'suppression')} for one newsletter only")
