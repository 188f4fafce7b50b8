"""A digest that waits to be sent to any number of readers, and the questions a benchmark asks about it.

Rows are made by statements that work on sets: a million readers take seconds.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Integer, String, cast, insert, literal, select, text
from sqlalchemy.orm import Session

from benchmarks.rig import processes
from mailer import schema
from mailer.clock import utc_now
from mailer.db import Database
from mailer.db.prepared_statements import execute
from mailer.ledger import claims
from mailer.models import DeliveryStatus, Subscriber, Subscription
from mailer.sending.composer import Composer
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.factories import CONTENT

KEYS = Keys((b"s" * 40,), b"i" * 40)
BASE_URL = "https://news.example"

POLL_SECONDS = 0.01
DEADLINE_SECONDS = 60

PARAGRAPHS = {31: 60, 44: 86}
"""How many paragraphs make a mail of so many KB."""

_TEXT = "The council has voted on the new bridge, and the ferry will go on until it stands. " * 4
_FIRST_PUBLIC_ID = 0x1000_0000_0000_0000


def fill(database: Database, readers: int, *, kilobytes: int = 31) -> int:
    """Make the schema, the readers, and a digest that is due to all of them; its id.

    Args:
        kilobytes: of each mail, one of `PARAGRAPHS`.
    """
    now = utc_now()
    schema.create(database, KEYS.fingerprint(), now)
    paragraphs = PARAGRAPHS[kilobytes]
    html = "".join(f"<p>{number}. {_TEXT}</p>" for number in range(paragraphs))
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        counted = select(literal(1, Integer).label("n")).cte("counted", recursive=True)
        counted = counted.union_all(select(counted.c.n + 1).where(counted.c.n < readers))
        number = counted.c.n
        address = literal("reader") + cast(number, String) + "@example.com"
        session.execute(
            insert(Subscriber).from_select(
                ["public_id", "address", "address_key", "key_hash", "created_at"],
                select(
                    literal(_FIRST_PUBLIC_ID, Subscriber.public_id.type) + number,
                    address,
                    address,
                    literal("0" * 54) + cast(number + 1_000_000_000, String),
                    literal(now - timedelta(days=1), Subscriber.created_at.type),
                ),
            )
        )
        session.execute(
            insert(Subscription).from_select(
                [
                    "public_id",
                    "subscriber_id",
                    "newsletter_id",
                    "schedule_id",
                    "start_article",
                    "confirmed_at",
                ],
                select(
                    Subscriber.public_id,
                    Subscriber.id,
                    literal(schedule.newsletter_id),
                    literal(schedule.id),
                    literal(0),
                    Subscriber.created_at,
                ),
            )
        )
        digest = make.digest(session, schedule, due_at=now - timedelta(minutes=1))
        edition = make.edition(
            session,
            digest,
            html=html + CONTENT["html"],
            text=f"{_TEXT}\n" * (paragraphs * 5 // 12) + CONTENT["text"],
        )
        make.deliveries(
            session,
            edition,
            schedule,
            status=DeliveryStatus.QUEUED,
            attempts=0,
            next_attempt_at=now - timedelta(minutes=1),
        )
        found: int = digest.id
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What PostgreSQL does by itself in a database that is older than a minute.
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))
        if not database.is_sqlite:
            # What filling left to be written must not be written while something is measured.
            connection.execute(text("CHECKPOINT"))
    return found


def one_mail(database: Database) -> bytes:
    """The bytes of the first reader's mail."""
    composer = Composer(KEYS, BASE_URL, Templates())
    with Session(database.engine) as session:
        # Nothing is committed: the row waits as before.
        claimed, _ = execute(claims.claim(make.worker(session).id, 1, utc_now()), session)
        [letter] = composer.load(session, claimed)
    return composer.compose(letter, utf8=False)[1]


class Watch:
    """Cheap questions from outside, on a bare connection of the driver."""

    def __init__(self, database: Database, digest_id: int) -> None:
        self._digest_id = digest_id
        self._is_sqlite = database.is_sqlite
        url = database.url
        self._connection: Any = (
            sqlite3.connect(str(url.database), isolation_level=None, timeout=30)
            if database.is_sqlite
            else psycopg.connect(
                url.set(drivername="postgresql").render_as_string(hide_password=False),
                autocommit=True,
            )
        )

    def _one(self, query: str) -> Any:
        mark = "?" if self._is_sqlite else "%s"
        rows = self._connection.execute(query.replace(":digest", mark), (self._digest_id,))
        return rows.fetchone()[0]

    def is_sent(self) -> bool:
        """Whether the digest is closed; reads one row."""
        return bool(self._one("SELECT status FROM digest WHERE id = :digest") == "sent")

    def sent(self) -> int:
        """How many mails the ledger has as sent; reads all of the digest's rows."""
        query = "SELECT count(*) FROM delivery WHERE digest_id = :digest AND status = 'sent'"
        return int(self._one(query))

    def server_pid(self) -> int | None:
        """The PostgreSQL server's main process; None for SQLite, and if it is on another machine."""
        if self._is_sqlite:
            return None
        backend = self._connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        name = Path(f"/proc/{backend}/comm")
        is_here = name.exists() and name.read_text().startswith("postgres")
        return processes.parent(backend) if is_here else None

    def seconds(self, deadline: float = DEADLINE_SECONDS) -> float:
        """Wait until the digest is sent; seconds from the first acceptance in the ledger to that moment.

        The start of the process does not count.

        Raises:
            TimeoutError: it is not sent in time.
        """
        until = time.monotonic() + deadline
        while not self.is_sent():
            if time.monotonic() > until:
                raise TimeoutError(f"only {self.sent()} mails were sent")
            time.sleep(POLL_SECONDS)
        ended = time.time()
        epoch = (
            "(julianday(min(outcome_at)) - 2440587.5) * 86400"
            if self._is_sqlite
            else "extract(epoch FROM min(outcome_at))::float"
        )
        began = self._one(f"SELECT {epoch} FROM delivery WHERE digest_id = :digest")
        return float(ended - began)

    def wait_for_first(self) -> None:
        """Wait until a mail has been accepted.

        Raises:
            TimeoutError: none is in time.
        """
        until = time.monotonic() + DEADLINE_SECONDS
        # No index knows what was sent, but the first reader's mail is claimed first.
        first = (
            "SELECT status FROM delivery WHERE digest_id = :digest ORDER BY subscriber_id LIMIT 1"
        )
        while self._one(first) != "sent":
            if time.monotonic() > until:
                raise TimeoutError("no mail was sent")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def watching(database: Database, digest_id: int) -> Iterator[Watch]:
    """A `Watch` that is closed at the end."""
    watch = Watch(database, digest_id)
    try:
        yield watch
    finally:
        watch.close()


def remove(path: Path) -> None:
    """Remove a SQLite database that has been measured, with its journal."""
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
