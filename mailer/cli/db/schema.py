"""`mailer db upgrade` and `mailer db check`: bring the schema up to date, and check it and the rows."""

from pathlib import Path

import click

from mailer import schema
from mailer.app import App, open_app
from mailer.cli.base import Command, json_option, opened, settings
from mailer.cli.copy_progress import stoppable_copy
from mailer.cli.output import message, print_json
from mailer.errors import SchemaError


@click.command(cls=Command)
@click.option("--no-backup", is_flag=True, help="Make no backup before, even if there is a folder.")
def upgrade(no_backup: bool) -> None:
    """Upgrade the database to the current schema, completely or not at all.

    An empty database gets the schema. Stop all processes of the mailer first. If `backup_folder` is set, a
    backup is made there first; otherwise make one with `mailer db backup`.

    \b
    Example:
      mailer db upgrade
    """
    with open_app(settings(), check_schema=False) as app:
        if not no_backup:
            _back_up(app)
        before, after = schema.upgrade(app.database, app.keys.fingerprint(), app.times.wall())
    if before == after:
        message(f"the schema was current already ({after})")
    else:
        message(f"upgraded the schema from {before or 'nothing'} to {after}")


def _back_up(app: App) -> None:
    """Make a backup, if there is a folder for it and something to upgrade."""
    from mailer.database_copies import nightly
    from mailer.database_copies.backup import back_up

    folder, database = app.settings.backup_folder, app.database
    is_missing = database.is_sqlite and not Path(database.url.database or "").exists()
    before = None if folder is None or is_missing else schema.current(database)
    if folder is None or before is None or before >= schema.head():
        return
    now, fingerprint = app.times.wall(), app.keys.fingerprint()
    name = nightly.name_before_upgrade(fingerprint, now, before, is_sqlite=database.is_sqlite)
    with stoppable_copy("copied") as (on_progress, is_stopping):
        made = back_up(
            database,
            folder / name,
            fingerprint=fingerprint,
            now=now,
            on_progress=on_progress,
            is_stopping=is_stopping,
        )
    message(f"backed up the database to {made.file}")


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
