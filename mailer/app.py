"""The composition root: makes the parts from the settings and puts them together. Decides nothing else."""

import secrets
from dataclasses import dataclass

from mailer.clock import Times
from mailer.db import Database
from mailer.delivery.alert import Alerts
from mailer.operations import schema
from mailer.settings import Settings
from mailer.subscriptions.limits import Limits, Rate
from mailer.subscriptions.offer import Publisher
from mailer.subscriptions.signup import Desk, Terms
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

    @property
    def publisher(self) -> Publisher:
        """Who answers for all newsletters here."""
        return Publisher(self.settings.publisher, self.settings.privacy_url)

    @property
    def desk(self) -> Desk:
        """What it takes to write to somebody who asks."""
        return Desk(
            self.settings.base_url, self.keys, self.templates, secrets.token_bytes, self.alerts
        )

    @property
    def alerts(self) -> Alerts:
        """What it takes to write to staff."""
        return Alerts(
            templates=self.templates,
            keys=self.keys,
            staff_address=self.settings.staff_address,
            publisher=self.settings.publisher,
            random=secrets.token_bytes,
        )

    @property
    def terms(self) -> Terms:
        """Under which terms people sign up."""
        limits = self.settings.signup_limits
        return Terms(
            limits=Limits(
                address=Rate(limits.address.count, limits.address.span),
                network=Rate(limits.network.count, limits.network.span),
                total=Rate(limits.total.count, limits.total.span),
            ),
            expiry=self.settings.signup_expiry,
        )


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
