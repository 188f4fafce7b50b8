"""`mailer init`: writes a configuration with fresh keys, and makes the database that belongs to them."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from mailer import schema
from mailer.app import open_app
from mailer.cli.base import Command
from mailer.cli.output import message
from mailer.errors import AlreadyExists, Refused
from mailer.settings import CONFIG_VARIABLE, DEFAULT_FILE, Settings, load

_KEY_BYTES: Final = 32

_HEAD: Final = """\
# Settings of the mailer; `mailer config show` prints all of them, docs/settings.md explains them.
# Keep this file and the database together, and a copy of both in a safe place.

"""
_KEYS: Final = {
    "secret_key": '# Signs links that live for days. To rotate, put the new one in front: "new,old".',
    "identity_key": "# Signs unsubscribe links and hashes suppressed addresses. Never change it.",
}
_TAIL: Final = """
# What most installations set next:
# base_url = "https://newsletter.news.example"
# smtp_url = "smtp://user:password@relay.example:587"
"""


@click.command(cls=Command)
# It has no question to ask; a script gives --yes to every command all the same.
@click.option(
    "--yes", is_flag=True, expose_value=False, help="No effect: this command asks nothing."
)
def init() -> None:
    """Write mailer.toml with fresh keys, and create the database with the current schema.

    The database is the one that MAILER_DATABASE_URL names, else mailer.db in this folder. Existing files
    and databases are never overwritten.

    \b
    Example:
      mailer init
      MAILER_DATABASE_URL=postgresql://mailer@db.example/mailer mailer init
    """
    path = Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)
    already_exists = AlreadyExists(f"{path} exists already; use it, or remove it first")
    if path.exists():
        raise already_exists
    fresh = {name: secrets.token_urlsafe(_KEY_BYTES) for name in _KEYS}
    settings = load(os.environ, None, fresh)
    draft = _write_draft(path, _content(settings, fresh))
    try:
        _make_database(settings)
        # A link, unlike a rename, never takes the place of a file that came there meanwhile.
        os.link(draft, path)
    except FileExistsError as error:
        raise already_exists from error
    finally:
        draft.unlink()
    message(f"wrote {path} and the database {settings.shown['database_url']}")
    message("next: mailer newsletter add SLUG --title … --from … --postal-address …")


def _content(settings: Settings, fresh: dict[str, str]) -> str:
    lines = [_HEAD]
    if settings.origins["database_url"] != "default":
        # The keys are worth nothing without the database that they belong to.
        lines.append(f"database_url = {json.dumps(settings.database_url.reveal())}\n\n")
    for name, comment in _KEYS.items():
        if settings.origins[name] == "given":
            lines.append(f"{comment}\n{name} = {json.dumps(fresh[name])}\n")
    return "".join([*lines, _TAIL])


def _write_draft(path: Path, content: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(content)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written ({error.strerror}); run this in a folder that you can write to"
        ) from error
    return draft


def _make_database(settings: Settings) -> None:
    with open_app(settings, check_schema=False) as app:
        database = app.database
        file = Path(database.url.database or "") if database.is_sqlite else None
        if file is not None and file.exists():
            raise AlreadyExists(
                f"the database {file} exists already; put back the mailer.toml that belongs to it, "
                "or remove it"
            )
        try:
            schema.create(database, app.keys.fingerprint(), app.times.wall())
        except BaseException:
            database.dispose()
            if file is not None:
                for suffix in ("", "-wal", "-shm"):
                    with suppress(OSError):
                        Path(f"{file}{suffix}").unlink()
            raise
