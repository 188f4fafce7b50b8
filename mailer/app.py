"""The composition root: makes the parts from the settings and puts them together. Decides nothing else."""

from dataclasses import dataclass

from mailer.clock import Times
from mailer.db import Database
from mailer.operations import schema
from mailer.settings import Settings
from mailer.templating import Templates
from mailer.tokens import Keys

_POOL: int = 10
"""Connections to PostgreSQL that a process keeps; it opens twice as many when it is busy."""


@dataclass(frozen=True)
class App:
    """The opened program, as entry points hold it."""

    settings: Settings
    database: Database
    keys: Keys
    templates: Templates
    times: Times


def open_app(settings: Settings, *, check_schema: bool = True, times: Times | None = None) -> App:
    """Open the program. Whoever opens it disposes of its database.

    Raises:
        SettingsError: a setting cannot be used, or the identity key belongs to another database.
        SchemaError: there is no database, or its schema is not the current one.
        BadTemplate: the folder of templates does not exist.
    """
    templates = Templates(settings.templates)
    keys = make_keys(settings)
    database = Database(settings.database_url.reveal(), pool_size=_POOL)
    if check_schema:
        try:
            schema.check(database, keys.fingerprint())
        except BaseException:
            database.dispose()
            raise
    return App(settings, database, keys, templates, times or Times())


def make_keys(settings: Settings) -> Keys:
    """The keys of this installation."""
    return Keys(
        secrets=tuple(key.reveal().encode() for key in settings.secret_key),
        identity=settings.identity_key.reveal().encode(),
    )
