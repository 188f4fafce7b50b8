"""`mailer db upgrade` and `mailer db check`: bring the schema up to date, and check it and the rows."""

import click

from mailer import schema
from mailer.app import open_app
from mailer.cli.base import Command, json_option, opened, settings
from mailer.cli.output import message, print_json
from mailer.errors import SchemaError


@click.command(cls=Command)
def upgrade() -> None:
    """Upgrade the database to the current schema, completely or not at all.

    An empty database gets the schema. Stop all processes of the mailer first.

    \b
    Example:
      mailer db upgrade
    """
    with open_app(settings(), check_schema=False) as app:
        before, after = schema.upgrade(app.database, app.keys.fingerprint(), app.times.wall())
    if before == after:
        message(f"the schema was current already ({after})")
    else:
        message(f"upgraded the schema from {before or 'nothing'} to {after}")


@click.command(cls=Command)
@json_option
def check(as_json: bool) -> None:
    """Check that the schema is current and that no row refers to a missing one; exit with 1 if not.

    Reads the whole ledger, which may take a while.

    \b
    Example:
      mailer db check
    """
    with opened() as app:
        version = schema.head()
        dangling = schema.dangling_references(app.database)
    if as_json:
        print_json({"ok": not dangling, "schema": version, "loose_ends": dangling})
    if dangling:
        where = ", ".join(f"{number} in {table}" for table, number in dangling.items())
        raise SchemaError(
            f"the database has rows that refer to missing ones ({where}); restore a backup, or report this"
        )
    if not as_json:
        message(f"the schema is current ({version}), and every row refers to existing ones")
