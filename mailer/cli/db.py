"""`mailer db`: the database's schema."""

import click

from mailer.app import open_app
from mailer.cli.output import message, print_json
from mailer.cli.verb import Noun, json_option, opened, settings
from mailer.operations import schema


@click.group(cls=Noun)
def db() -> None:
    """The database."""


@db.command
def upgrade() -> None:
    """Bring the database to the current schema: all of it, or nothing is changed.

    An empty database is filled. Stop all processes of the mailer first.

    \b
    Example:
      mailer db upgrade
    """
    app = open_app(settings(), check_schema=False)
    try:
        before, after = schema.upgrade(app.database, app.keys.fingerprint(), app.times.wall())
    finally:
        app.database.dispose()
    if before == after:
        message(f"the schema was current already ({after})")
    else:
        message(f"upgraded the schema from {before or 'nothing'} to {after}")


@db.command
@json_option
def check(as_json: bool) -> None:
    """Tell whether the database can be reached and has the current schema; exit 1 if not.

    \b
    Example:
      mailer db check
    """
    with opened():
        version = schema.head()
    if as_json:
        print_json({"ok": True, "schema": version})
    else:
        message(f"the schema is current ({version})")
