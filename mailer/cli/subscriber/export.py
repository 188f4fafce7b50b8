"""`mailer subscriber export`: writes the readers as CSV. Never changes anything."""

from pathlib import Path

import click

from mailer.cli.base import Command, opened
from mailer.cli.csv_output import write_csv
from mailer.newsletters import newsletters
from mailer.subscribers.export import SUBSCRIPTION_COLUMNS, subscription_rows


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--newsletter", metavar="SLUG", help="Only this one's readers.")
def export(file: Path | None, newsletter: str | None) -> None:
    """Export readers as CSV: a row for each subscription, also of those who left.

    FILE must not exist yet, and only you may read it. Without FILE the rows are printed. `mailer subscriber
    import` takes the file back.

    \b
    Example:
      mailer subscriber export --newsletter daily readers.csv
    """
    with opened() as app, app.database.read() as session:
        newsletter_id = None if newsletter is None else newsletters.find(session, newsletter).id
        write_csv(SUBSCRIPTION_COLUMNS, subscription_rows(session, newsletter_id), file)
