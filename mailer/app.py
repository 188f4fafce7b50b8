"""Makes the parts of the program from the settings and puts them together. Never decides anything else.

A part is imported when it is first used, because most commands need few of them: a list must not wait
for templates, mails or builds.
"""

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from mailer import schema
from mailer.clock import Times
from mailer.database_copies.catch_up import catch_up
from mailer.db import Database
from mailer.errors import SettingsError
from mailer.settings import Settings
from mailer.tokens import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailer.bounces.intake.fetch import MailboxContext
    from mailer.bounces.intake.mailbox import OpenMailbox
    from mailer.digests.build.builder import Builder
    from mailer.digests.build.editions import Render
    from mailer.feeds.context import FeedContext
    from mailer.feeds.sandbox.reader import FeedReader
    from mailer.message.dkim import DkimSigner, SigningKey
    from mailer.message.options.mail_options import MailOptions
    from mailer.newsletters.offer import Publisher
    from mailer.notices.alert import Alerts
    from mailer.sending.smtp.connection import RelayConfig
    from mailer.settings.mailbox_url import MailboxUrl
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

    @cached_property
    def dkim_keys(self) -> "tuple[SigningKey, ...]":
        """The keys that sign our mails; none unless `dkim_key` is set.

        Raises:
            SettingsError: a file cannot be read, others may read it, or it holds no key that can be used.
        """
        paths = self.settings.dkim_key
        if not paths:
            return ()
        from mailer.message.dkim_keys import read_key
        from mailer.settings import key_files

        return tuple(
            read_key(key_files.read(path, "dkim_key"), selector, str(path))
            for path, selector in zip(paths, self.settings.dkim_selector, strict=True)
        )

    @cached_property
    def dkim_signer(self) -> "DkimSigner | None":
        """What signs our mails; None unless the settings of DKIM are set.

        Raises:
            SettingsError: as `dkim_keys`, or none of the keys is RSA, which all receivers can verify.
        """
        domain = self.settings.dkim_domain
        if domain is None:
            return None
        from mailer.message.dkim import DkimSigner

        if not any(key.algorithm == "rsa-sha256" for key in self.dkim_keys):
            raise SettingsError(
                "dkim_key names no RSA key, and many receivers verify no other; make one with "
                "`mailer dkim new --type rsa`, and add it"
            )
        return DkimSigner(domain, self.dkim_keys)

    def check_dkim(self) -> None:
        """Refuse keys that cannot sign, before anything is begun that needs them.

        Raises:
            SettingsError: as `dkim_signer`.
        """
        _ = self.dkim_signer

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

    @cached_property
    def mail_options(self) -> "MailOptions":
        """What all mails have besides their content."""
        from mailer.message.options.mail_options import MailOptions
        from mailer.message.provider_reference import ReferenceLines
        from mailer.message.return_address import BounceAddress

        settings, address = self.settings, self.settings.bounce_address
        return MailOptions(
            bounce_address=(
                None if address is None else BounceAddress.of(address, settings.bounce_separator)
            ),
            reference_lines=ReferenceLines(settings.webhook_keys),
            extra_headers=settings.extra_headers,
            extra_headers_notice=settings.extra_headers_notice,
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

    @property
    def relay_config(self) -> "RelayConfig":
        """Where the relay is, and how to talk to it."""
        import socket

        from mailer.sending.smtp.connection import RelayConfig
        from mailer.sending.smtp.events import Credentials, Step

        relay, credentials = self.settings.smtp_url, None
        if relay.user is not None and relay.password is not None:
            credentials = Credentials(relay.user, relay.password.reveal())
        return RelayConfig(
            host=relay.host,
            port=relay.port,
            ehlo_name=self.settings.ehlo_name or socket.getfqdn(),
            tls=relay.tls,
            credentials=credentials,
            timeouts={step: self.settings.smtp_timeouts[step].total_seconds() for step in Step},
        )

    def feed_context(self, reader: "FeedReader") -> "FeedContext":
        """Make what fetching feeds needs, with this reader; the caller stops the reader."""
        from mailer.feeds.context import FeedContext

        return FeedContext(
            self.database, reader, self.times.wall, self.settings.feed_interval, self.alerts
        )

    @property
    def mailbox_context(self) -> "MailboxContext | None":
        """What fetching returned mail needs; None if the settings name no mailbox."""
        from mailer.bounces.intake.fetch import MailboxContext
        from mailer.settings.mailbox_url import MaildirPath

        mailbox = self.settings.bounce_fetch_url
        if mailbox is None:
            return None
        return MailboxContext(
            self.database,
            self.keys,
            self.alerts,
            open=partial(_opened_mailbox, mailbox),
            name=self.settings.shown["bounce_fetch_url"] or "",
            source="maildir" if isinstance(mailbox, MaildirPath) else "imap",
            wall=self.times.wall,
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


@contextmanager
def _opened_mailbox(url: "MailboxUrl") -> "Iterator[OpenMailbox]":
    from mailer.settings.mailbox_url import MaildirPath

    if isinstance(url, MaildirPath):
        from mailer.bounces.intake.maildir import Maildir

        yield Maildir(url.path)
        return
    from mailer.bounces.intake.imap import opened_folder

    with opened_folder(
        url.host,
        url.port,
        implicit_tls=url.implicit_tls,
        starttls=url.starttls,
        user=url.user,
        password=url.password.reveal(),
        folder=url.folder,
    ) as folder:
        yield folder


def open_app(settings: Settings, *, check_schema: bool = True, times: Times | None = None) -> App:
    """Open the program, which the caller closes.

    Raises:
        SettingsError: a setting cannot be used, or the identity key belongs to another database.
        SchemaError: there is no database, or its schema is not the current one.
        MailerError: the journal beside the database cannot be read.
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
            catch_up(database, now=(times or Times()).wall())
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
