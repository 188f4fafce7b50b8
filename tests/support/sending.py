"""What tests of sending share: a digest to send, a sender in a thread, and how it went."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Executable, select

from mailer.address import parse
from mailer.clock import Times
from mailer.db import Database
from mailer.ledger import digest_state
from mailer.ledger.heartbeat import Figures
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Notice, Subscriber
from mailer.notices.alert import Alerts
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.send_loop import Sender
from mailer.sending.sender_heartbeat import SenderHeartbeat
from mailer.sending.smtp.connection import RelayConfig
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support import factories
from tests.support.receiver import Answer, Mail, Receiver, fine, receiver
from tests.support.sample_mails import always
from tests.support.waiting import wait_until

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


def alerts(keys: Keys, *addresses: str) -> Alerts:
    """What it takes to write to staff, who are at desk@news.example if no address is given."""
    staff = tuple(parse(one) for one in addresses or ("desk@news.example",))
    return Alerts(Templates(), keys, staff, "Sampletown Press", always("a"))


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


@contextmanager
def beating(
    database: Database, figures: Callable[[], Figures] = Figures
) -> Iterator[SenderHeartbeat]:
    """A heartbeat with nobody who sends."""
    pulse = SenderHeartbeat(
        database,
        Times(),
        plan=RetryPlan((timedelta(hours=1),), timedelta(hours=48)),
        lease_seconds=60,
        resend=True,
        on_recovery=lambda: None,
        figures=figures,
    )
    pulse.start()
    try:
        yield pulse
    finally:
        pulse.stop()


def build(
    database: Database,
    keys: Keys,
    readers: int,
    slug: str = "daily",
    name: str = "reader",
    **content: object,
) -> int:
    """A digest of a new newsletter that is being sent to name1@example.com and so on; its id."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session, slug))
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest, **content)
        for number in range(1, readers + 1):
            reader = factories.reader(session, keys, schedule, f"{name}{number}@example.com")
            factories.delivery(session, edition, reader)
        found: int = digest.id
        return found


def is_sent(database: Database, digest_id: int) -> bool:
    with database.read() as session:
        found = session.scalars(select(Digest.status).where(Digest.id == digest_id)).one()
        return found is DigestStatus.SENT


def counts(database: Database, digest_id: int) -> digest_state.Counts:
    with database.read() as session:
        return digest_state.counts(session, digest_id)


def waiters(database: Database) -> int:
    """How many sessions wait for a lock in this database."""
    question = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.read() as session:
        return int(session.connection().exec_driver_sql(question).scalar_one())


def address(number: int) -> str:
    return f"reader{number}@example.com"


@dataclass
class Post:
    """The database of a test, the digest that was built last, and those who send it."""

    database: Database
    keys: Keys
    sender: Callable[..., Sender]
    digest_id: int = 0

    def build(self, readers: int, *named: str, **content: object) -> int:
        self.digest_id = build(self.database, self.keys, readers, *named, **content)
        return self.digest_id

    def notice(self, address: str = "newcomer@example.com", **values: object) -> Notice:
        with self.database.write() as session:
            return factories.notice(session, self.keys, address, **values)

    @contextmanager
    def relay(
        self,
        answer: Answer = fine,
        *,
        accept: Callable[[Mail], None] = lambda mail: None,
        **changes: object,
    ) -> Iterator[Receiver]:
        """A relay, and a sender that sends to it; `changes` are of the sender's configuration."""
        with receiver(answer, accept) as relay, sending(self.sender(relay.port, **changes)):
            yield relay

    def send(self, answer: Answer = fine, **changes: object) -> Receiver:
        """Send the digest until it is done with; the relay that had it."""
        with self.relay(answer, **changes) as relay:  # type: ignore[arg-type]
            wait_until(self.is_sent)
        return relay

    def send_to(self, readers: int, answer: Answer = fine, **changes: object) -> Receiver:
        """Build a digest for so many, and send it."""
        self.build(readers)
        return self.send(answer, **changes)

    def is_sent(self, digest_id: int = 0) -> bool:
        return is_sent(self.database, digest_id or self.digest_id)

    def counts(self) -> digest_state.Counts:
        return counts(self.database, self.digest_id)

    def delivery_to(self, to: str) -> Delivery:
        with self.database.read() as session:
            return session.scalars(
                select(Delivery).join(Subscriber).where(Subscriber.address == to)
            ).one()

    def row(self, number: int = 1) -> Delivery:
        return self.delivery_to(address(number))

    def statuses(self) -> list[DeliveryStatus]:
        with self.database.read() as session:
            return list(session.scalars(select(Delivery.status).order_by(Delivery.id)))

    def digest(self, digest_id: int = 0) -> Digest:
        with self.database.read() as session:
            return session.get_one(Digest, digest_id or self.digest_id)

    def change(self, statement: Executable) -> None:
        with self.database.write() as session:
            session.execute(statement)
