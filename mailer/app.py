"""Makes the parts of the program from the settings and puts them together. Never decides anything else.

A part is imported when it is first used, because most commands need few of them: a list must not wait
for templates, mails or builds.
"""

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from mailer import schema
from mailer.clock import Times
from mailer.db import Database
from mailer.errors import SettingsError
from mailer.settings import Settings
from mailer.tokens import Keys

if TYPE_CHECKING:
    from mailer.digests.build.builder import Builder
    from mailer.digests.build.editions import Render
    from mailer.feeds.context import FeedContext
    from mailer.feeds.sandbox.reader import FeedReader
    from mailer.newsletters.offer import Publisher
    from mailer.notices.alert import Alerts
    from mailer.subscribers.signup import SignupContext
    from mailer.templating.templates import Templates

_POOL: int = 10
"""Connections to PostgreSQL that a process keeps; it opens twice as many when it is busy."""


@dataclass(frozen=True)
class App:
    """The opened program, which entry points hold; as a context manager it closes its database."""

    settings: Settings
    database: Database
    keys: Keys
    times: Times

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.dispose()

    @cached_property
    def templates(self) -> "Templates":
        """All templates, with the operator's own first.

        Raises:
            BadTemplate: the folder of templates does not exist.
        """
        from mailer.templating.templates import Templates

        return Templates(self.settings.templates)

    @property
    def publisher(self) -> "Publisher":
        """Who is responsible for all newsletters here."""
        from mailer.newsletters.offer import Publisher

        return Publisher(self.settings.publisher, self.settings.privacy_url)

    @cached_property
    def signup_context(self) -> "SignupContext":
        """What this installation brings to every sign-up."""
        from mailer.subscribers.signup import SignupContext

        return SignupContext(
            base_url=self.settings.base_url,
            publisher=self.publisher,
            keys=self.keys,
            templates=self.templates,
            random=secrets.token_bytes,
            alerts=self.alerts,
            limits=self.settings.signup_limits,
            expiry=self.settings.signup_expiry,
        )

    @property
    def alerts(self) -> "Alerts":
        """What mails to staff need."""
        from mailer.notices.alert import Alerts

        return Alerts(
            templates=self.templates,
            keys=self.keys,
            staff_address=self.settings.staff_address,
            publisher=self.settings.publisher,
            random=secrets.token_bytes,
        )

    def feed_context(self, reader: "FeedReader") -> "FeedContext":
        """Make what fetching feeds needs, with this reader; the caller stops the reader."""
        from mailer.feeds.context import FeedContext

        return FeedContext(
            self.database, reader, self.times.wall, self.settings.feed_interval, self.alerts
        )

    @property
    def render(self) -> "Render":
        """The function that renders editions; it reads the templates at its first call."""
        return lambda *edition: self._renderer(*edition)

    @cached_property
    def _renderer(self) -> "Render":
        from mailer.digests.build.render import edition_renderer

        return edition_renderer(
            self.templates,
            base_url=self.settings.base_url,
            publisher=self.settings.publisher,
            privacy_url=self.settings.privacy_url,
            random=secrets.token_bytes,
        )

    def make_builder(self, alerts: "Alerts | None" = None) -> "Builder":
        """Make a builder, which the caller opens; see `Builder` for `alerts`."""
        from mailer.digests.build.builder import Builder

        return Builder(
            self.database,
            self.times,
            render=self.render,
            lease=self.settings.lease,
            alerts=alerts,
        )


def open_app(settings: Settings, *, check_schema: bool = True, times: Times | None = None) -> App:
    """Open the program, which the caller closes.

    Raises:
        SettingsError: a setting cannot be used, or the identity key belongs to another database.
        SchemaError: there is no database, or its schema is not the current one.
    """
    folder = settings.templates
    # Most commands read no template, but a folder that is missing is a mistake for all of them.
    if folder is not None and not folder.is_dir():
        raise SettingsError(
            f"the folder {folder} does not exist; create it, or remove `templates` from the settings"
        )
    keys = make_keys(settings)
    database = Database(settings.database_url.reveal(), pool_size=_POOL)
    if check_schema:
        try:
            schema.check(database, keys.fingerprint())
        except BaseException:
            database.dispose()
            raise
    return App(settings, database, keys, times or Times())


def make_keys(settings: Settings) -> Keys:
    """Make the keys of this installation."""
    return Keys(
        secrets=tuple(key.reveal().encode() for key in settings.secret_key),
        identity=settings.identity_key.reveal().encode(),
    )
