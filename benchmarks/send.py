"""The send loop with its ledger against smtp-source, which has none, with the same mails in one run.

Run as `python benchmarks/send.py`; prints a table. Both send to Postfix's smtp-sink on the same machine,
so all share its processors. PostgreSQL is a throw-away cluster, or the one that TEST_POSTGRESQL_URL names.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import insert, select, text

from mailer.clock import Times
from mailer.db import Base, Database
from mailer.delivery import running
from mailer.delivery.change import Claim, RowId
from mailer.delivery.mail import Composer
from mailer.delivery.relay import RelayConfig
from mailer.delivery.retry import RetryPlan
from mailer.delivery.send import SendConfig, Sender
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Installation
from mailer.templating import Templates
from mailer.tokens import Keys
from tests import factories as make
from tests import postgresql
from tests.factories import CONTENT, NOW

READERS = 4_000
CONNECTIONS = (1, 10)
KEYS = Keys((b"s" * 40,), b"i" * 40)
BASE_URL = "https://news.example"
TEXT = "The council has voted on the new bridge, and the ferry will go on until it stands. " * 4


@contextmanager
def sink() -> Iterator[int]:
    """smtp-sink on a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    process = subprocess.Popen([program, "-u", "nobody", f"127.0.0.1:{port}", "256"])
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()


def fill(database: Database) -> int:
    """A digest of about 33 KB that waits to be sent to all readers; its id."""
    Base.metadata.create_all(database.engine)
    html = "".join(f"<p>{number}. {TEXT}</p>" for number in range(60))
    with database.write() as session:
        session.execute(
            insert(Installation).values(id=1, identity_fingerprint="x" * 32, created_at=NOW)
        )
        schedule = make.schedule(session, make.newsletter(session))
        make.many_readers(session, KEYS, schedule, READERS)
        digest = make.digest(session, schedule)
        edition = make.edition(
            session,
            digest,
            html=html + CONTENT["html"],
            text=f"{TEXT}\n" * 25 + CONTENT["text"],
        )
        make.deliveries(session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0)
        found: int = digest.id
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What PostgreSQL does by itself in a database that is older than a minute.
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))
    return found


def one_mail(database: Database, composer: Composer) -> bytes:
    """The bytes of the first reader's mail."""
    with database.read() as session:
        row_id = session.scalars(select(Delivery.id).limit(1)).one()
        [letter] = composer.load(session, [Claim(RowId(Delivery, row_id), 1, 0, NOW)])
    return composer.compose(letter, utf8=False)[1]


def loop(database: Database, digest_id: int, connections: int) -> float:
    """Mails a second of our loop, until the digest is sent."""
    with sink() as port:
        sender = Sender(
            database,
            SendConfig(
                relay=RelayConfig("127.0.0.1", port, "news.example"),
                retry=RetryPlan((timedelta(minutes=5),), timedelta(hours=48)),
                connections=connections,
                messages_per_connection=READERS,
            ),
            Composer(KEYS, BASE_URL, Templates()),
            times=Times(),
        )
        with database.read() as session:
            assert running.counts(session, digest_id).pending == READERS
        stop = threading.Event()
        thread = threading.Thread(target=sender.run, args=(stop,))
        start = time.perf_counter()
        thread.start()
        while True:
            with database.read() as session:
                status = session.scalar(select(Digest.status).where(Digest.id == digest_id))
            if status is DigestStatus.SENT:
                break
            time.sleep(0.02)
        took = time.perf_counter() - start
        stop.set()
        sender.wake()
        thread.join()
    with database.read() as session:
        assert running.counts(session, digest_id).sent == READERS
    return READERS / took


def source(mail: Path, connections: int) -> float:
    """Mails a second of smtp-source with the same mail on as many connections that stay open."""
    program = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
    with sink() as port:
        start = time.perf_counter()
        subprocess.run(
            [
                program,
                "-d",
                "-N",
                f"-s{connections}",
                f"-m{READERS}",
                f"-F{mail}",
                "-fdaily@news.example",
                "-treader@example.com",
                f"127.0.0.1:{port}",
            ],
            check=True,
            cwd=mail.parent,
        )
        return READERS / (time.perf_counter() - start)


def measure(name: str, url: str, folder: Path, connections: int) -> None:
    """One line of the table."""
    database = Database(url)
    digest_id = fill(database)
    mail = folder / "mail"
    data = one_mail(database, Composer(KEYS, BASE_URL, Templates()))
    mail.write_bytes(data.replace(b"\r\n", b"\n"))
    yardstick = source(mail, connections)
    ours = loop(database, digest_id, connections)
    print(
        f"{name:10} {connections:11} {len(data) / 1000:8.1f} {ours:10,.0f} {yardstick:12,.0f} "
        f"{ours / yardstick:6.2f}",
        flush=True,
    )
    database.dispose()


def main() -> None:
    print(f"\nSending to {READERS:,} readers")
    print("database   connections  KB/mail  ours msg/s  smtp-source   ratio")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for connections in CONNECTIONS:
            url = f"sqlite:///{folder / f'{connections}.db'}"
            measure("SQLite", url, folder, connections)
        with postgresql.server() as server:
            for connections in CONNECTIONS:
                measure("PostgreSQL", server.create(), folder, connections)


if __name__ == "__main__":
    main()
