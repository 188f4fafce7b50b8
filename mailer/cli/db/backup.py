"""`mailer db backup`: writes the whole database into one file, while everything goes on."""

from dataclasses import asdict
from pathlib import Path

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.copy_progress import stoppable_copy
from mailer.cli.output import message, print_json
from mailer.text.english import pluralise


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Write a backup of the whole database to FILE, while everything goes on.

    FILE must not exist yet; only you may read it. Keep a copy of mailer.toml too: a backup cannot be used
    without the keys in it. With PostgreSQL this needs its program pg_dump.

    \b
    Example:
      mailer db backup /var/backups/mailer-before-upgrade.db
    """
    from mailer.database_copies.backup import back_up

    with opened(check_schema=False) as app, stoppable_copy("copied") as (on_progress, is_stopping):
        made = back_up(
            app.database,
            file,
            fingerprint=app.keys.fingerprint(),
            now=app.times.wall(),
            on_progress=on_progress,
            is_stopping=is_stopping,
        )
    if as_json:
        print_json(asdict(made))
        return
    message(f"wrote {file} ({made.bytes:,} bytes, {pluralise(made.subscribers, 'reader')})")
    message("keep a copy of mailer.toml too: a backup cannot be used without the keys in it")
