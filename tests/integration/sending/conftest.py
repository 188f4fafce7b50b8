"""A sender for the database of the test."""

from collections.abc import Callable

import pytest

from mailer.clock import Times
from mailer.db import Database
from mailer.message.options.mail_options import NO_OPTIONS, MailOptions
from mailer.sending.composer import Composer
from mailer.sending.flow_control import back_off
from mailer.sending.in_flight import outbox
from mailer.sending.send_loop import Sender
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support.sending import BASE_URL, Post, alerts, config


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders look for work, and for a relay that failed, ten times as often as in real life."""
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.1)


@pytest.fixture
def mail_options() -> MailOptions:
    """What the operator has set for all mails: nothing, unless a test does."""
    return NO_OPTIONS


@pytest.fixture
def composer(keys: Keys, mail_options: MailOptions) -> Composer:
    return Composer(keys, BASE_URL, Templates(), options=mail_options)


@pytest.fixture
def make_sender(database: Database, composer: Composer, keys: Keys) -> Callable[..., Sender]:
    """Makes a sender; it is given the relay's port, and changes of its configuration."""

    def make(port: int, **changes: object) -> Sender:
        return Sender(
            database, config(port, **changes), composer, times=Times(), alerts=alerts(keys)
        )

    return make


@pytest.fixture
def post(database: Database, keys: Keys, make_sender: Callable[..., Sender]) -> Post:
    return Post(database, keys, make_sender)
