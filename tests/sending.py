"""What tests of sending share: a digest to send, a sender in a thread, and how it went."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from mailer.address import parse
from mailer.db import Database
from mailer.delivery import running
from mailer.delivery.alert import Alerts
from mailer.delivery.config import SendConfig
from mailer.delivery.relay import RelayConfig
from mailer.delivery.retry import RetryPlan
from mailer.delivery.send import Sender
from mailer.models import Digest, DigestStatus
from mailer.templating import Templates
from mailer.tokens import Keys
from tests import factories
from tests.looks import always

BASE_URL = "https://news.example"


def config(port: int, **changes: object) -> SendConfig:
    """How the senders of these tests send: to a relay on loopback, and soon again."""
    plain = SendConfig(
        relay=RelayConfig("127.0.0.1", port, "news.example"),
        retry=RetryPlan((timedelta(hours=1),), timedelta(hours=48)),
        connections=4,
        lease_seconds=60,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def alerts(keys: Keys) -> Alerts:
    """What it takes to write to staff, who are at desk@news.example."""
    return Alerts(Templates(), keys, parse("desk@news.example"), "Sampletown Press", always("a"))


@contextmanager
def sending(sender: Sender) -> Iterator[Sender]:
    """A sender that runs in a thread, and drains at the end."""
    stop = threading.Event()
    fault: list[BaseException] = []

    def run() -> None:
        try:
            sender.run(stop)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sender
    finally:
        stop.set()
        sender.wake()
        thread.join(40)
    assert not thread.is_alive()
    assert not fault, fault


def build(database: Database, keys: Keys, readers: int) -> int:
    """A digest that is being sent to reader1@example.com and so on; its id."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest)
        for subscription in factories.readers(session, keys, schedule, readers):
            factories.delivery(session, edition, subscription)
        found: int = digest.id
        return found


def is_sent(database: Database, digest_id: int) -> bool:
    with database.read() as session:
        found = session.scalars(select(Digest.status).where(Digest.id == digest_id)).one()
        return found is DigestStatus.SENT


def counts(database: Database, digest_id: int) -> running.Counts:
    with database.read() as session:
        return running.counts(session, digest_id)
