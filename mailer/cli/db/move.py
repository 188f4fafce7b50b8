"""`mailer db move`: moves everything to another database, or takes a move back."""

import time
from typing import TYPE_CHECKING

import click

from mailer.cli.base import Command, confirmed, json_option, opened, yes_option
from mailer.cli.long_running import Ticker
from mailer.cli.output import message, print_json
from mailer.errors import Refused
from mailer.settings import parsers
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App
    from mailer.database_copies.moving.move import Show


@click.command(cls=Command)
@click.option(
    "--to",
    "url",
    required=True,
    metavar="URL",
    help="The new database: postgresql://USER@HOST/NAME",
)
@click.option(
    "--cancel",
    is_flag=True,
    help="Take the move back, as long as the new database has sent nothing.",
)
@yes_option
@json_option
def move(url: str, cancel: bool, yes: bool, as_json: bool) -> None:
    """Move everything to an empty PostgreSQL database; from then on this one refuses to be used.

    Stop all processes of the mailer first. Afterwards set `database_url` to the new database, and start
    them again: a digest that was half sent goes on where it was. If this command is interrupted, repeat it.
    Other users of this machine can see a password that is typed here; PostgreSQL also takes it from
    PGPASSWORD or ~/.pgpass.

    \b
    Example:
      mailer db move --to postgresql://mailer@db.example/mailer
      mailer db move --to postgresql://mailer@db.example/mailer --cancel
    """
    try:
        new_url = parsers.database_url(url).reveal()
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'--to'") from error
    with opened(check_schema=False) as app:
        if cancel:
            _take_back(app, new_url, yes=yes, as_json=as_json)
        else:
            _move(app, new_url, yes=yes, as_json=as_json)


def _move(app: "App", url: str, *, yes: bool, as_json: bool) -> None:
    from mailer.database_copies.moving.move import move as move_everything

    if not confirmed("Move everything? This database then refuses to be used.", yes=yes):
        raise click.Abort
    result = move_everything(
        app.database,
        url,
        fingerprint=app.keys.fingerprint(),
        lease=app.settings.lease,
        now=app.times.wall(),
        show=_lines(),
    )
    if as_json:
        print_json({"to": result.place, "rows": result.rows, "tables": result.tables})
    message(
        f"moved {pluralise(result.rows, 'row')} in {pluralise(len(result.tables), 'table')} to "
        f"{result.place} and compared them; set `database_url` to it, and start the mailer again"
    )


def _take_back(app: "App", url: str, *, yes: bool, as_json: bool) -> None:
    """Take the move back.

    Raises:
        Refused: it cannot be taken back, or the answer was no.
    """
    from mailer.database_copies.moving.take_back import take_back

    def confirm(lost: list[str]) -> bool:
        message(
            "the new database has sent nothing, but was changed since the move, and this is lost: "
            + ", ".join(lost)
        )
        return confirmed("Take the move back all the same?", yes=yes)

    is_done = take_back(
        app.database,
        url,
        fingerprint=app.keys.fingerprint(),
        lease=app.settings.lease,
        now=app.times.wall(),
        confirm=confirm,
        show=_lines(),
    )
    if not is_done:
        raise Refused("nothing was taken back")
    if as_json:
        print_json({"cancelled": True})
    message("the move was taken back: this database is used again, and the new one no more")


def _lines() -> "Show":
    """Return a function that writes now and then on stderr what is being done."""
    ticker = Ticker(at_once=False, now=time.monotonic())

    def show(what: str, rows: int) -> None:
        if ticker.is_due(time.monotonic()):
            message(f"{what}: {rows:,} rows" if rows else what)

    return show
