"""Runs one digest through the faults of a test: its database, its processes, and what came of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from mailer.db import Database
from mailer.ledger import digest_state
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Notice,
    NoticeKind,
    Subscriber,
    Suppression,
)
from mailer.tokens import Keys
from tests.faults import relays
from tests.faults.judge import Judgement, judge
from tests.support import factories, processes
from tests.support.receiver import Answer, fine

ROW = "row of the fault matrix"
"""The property of a test's report that holds its figures for the table."""


@dataclass
class Run:
    """A digest, and all that sends it.

    Attributes:
        record: keeps a property of the test for the table; see `conftest.py`.
        digest_id: the digest that was queued first.
    """

    database: Database
    keys: Keys
    folder: Path
    record: Callable[[str, object], None]
    digest_id: int = 0

    @property
    def file(self) -> Path:
        """Where the receiver or relay writes down what it takes."""
        return self.folder / "received"

    @property
    def log(self) -> Path:
        """What the processes of this run say."""
        return self.folder / "log"

    # What takes part

    def queue(self, readers: int, **content: Any) -> int:
        """Make a digest that is being sent to reader1@example.com and so on; its id.

        Args:
            content: of its edition, where the test cares.
        """
        with self.database.write() as session:
            schedule = factories.schedule(session, factories.newsletter(session))
            digest = factories.digest(session, schedule)
            edition = factories.edition(session, digest, **content)
            factories.many_readers(session, self.keys, schedule, readers)
            factories.deliveries(
                session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0
            )
            self.digest_id = digest.id
        return self.digest_id

    def relay(
        self, says: Answer = fine, *, pipelines: bool = True
    ) -> AbstractContextManager[relays.Relay]:
        """A relay of this process."""
        return relays.relay(self.file, says, pipelines=pipelines)

    def receiving(
        self, *, delay: float = 0.0, kind: str = "pipelining"
    ) -> AbstractContextManager[int]:
        """A receiver in a process of its own; its port."""
        return processes.receiving(self.file, delay=delay, kind=kind)

    def start(
        self, relay: int, /, *roles: str, log: Path | None = None, **settings: str
    ) -> "subprocess.Popen[bytes]":
        """Start `mailer run`, which sends to this port of loopback."""
        return processes.start_mailer(
            self.database, self.keys, relay, log or self.log, *roles, **settings
        )

    def running(
        self, relay: int, /, *roles: str, log: Path | None = None, **settings: Any
    ) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        """As `start`; it is killed at the end if it still runs."""
        return processes.killed_in_the_end(self.start(relay, *roles, log=log, **settings))

    def working(
        self, relay: int, /, **settings: Any
    ) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        """As `running`, for a worker."""
        return self.running(relay, "worker", **settings)

    def environment(self, relay: int = 25, /, **settings: str) -> dict[str, str]:
        """The environment of a process of this run."""
        own = processes.environment(self.database, self.keys, relay, settings)
        return own | {"PYTHONPATH": str(processes.ROOT)}

    def command(self, *words: str, status: int = 0, **settings: str) -> str:
        """Type `mailer …`, check its exit status, and return what it says, or its refusal."""
        ended = subprocess.run(
            [sys.executable, "-m", "mailer", *words],
            cwd=self.folder,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == status, f"{words}: {ended.stdout}{ended.stderr}"
        return ended.stderr if status else ended.stdout

    def ask(self, *words: str) -> Any:
        """Type `mailer … --json` and return what it printed."""
        return json.loads(self.command(*words, "--json"))

    def sign_up(self, port: int, address: str) -> tuple[int, str | None]:
        """Sign up at a web role on this port; the status of the answer, and its Retry-After."""
        connection = HTTPConnection("127.0.0.1", port, timeout=300)
        try:
            body = json.dumps({"email": address, "newsletter": "daily"})
            connection.request("POST", "/api/subscribe", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.getheader("Retry-After")
        finally:
            connection.close()

    # What came of it

    def accepted(self) -> list[dict[str, Any]]:
        """What the receiver has taken."""
        return processes.accepted(self.file)

    def has_more(self, than: int) -> bool:
        """Whether the receiver has taken more mails than so many."""
        return len(self.accepted()) > than

    def counts(self, digest_id: int = 0) -> digest_state.Counts:
        """Where the deliveries of the digest stand."""
        with self.database.read() as session:
            return digest_state.counts(session, digest_id or self.digest_id)

    def status(self, digest_id: int = 0) -> DigestStatus:
        """Where the digest stands."""
        with self.database.read() as session:
            return session.get_one(Digest, digest_id or self.digest_id).status

    def is_sent(self, digest_id: int = 0) -> bool:
        """Whether the digest is sent."""
        return self.status(digest_id) is DigestStatus.SENT

    def rows(self, *statuses: DeliveryStatus) -> dict[str | None, Delivery]:
        """The digest's deliveries in one of these statuses, by address."""
        with self.database.read() as session:
            rows = session.execute(
                select(Subscriber.address, Delivery)
                .join(Delivery, Delivery.subscriber_id == Subscriber.id)
                .where(Delivery.digest_id == self.digest_id, Delivery.status.in_(statuses))
            )
            return {row.address: row.Delivery for row in rows}

    def suppressed(self) -> int:
        """How many addresses get no mail any more."""
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(Suppression)) or 0

    def alerts(self) -> list[Notice]:
        """What staff were told."""
        with self.database.read() as session:
            return list(session.scalars(select(Notice).where(Notice.kind == NoticeKind.ALERT)))

    def judge(self, row: str = "", **figures: int) -> Judgement:
        """Compare the receiver's file with the ledger, and note it for this row of the table."""
        judgement = judge(self.database, self.digest_id, self.file)
        if row:
            # Readers who are shown as failed are not lost.
            failed = self.rows(DeliveryStatus.FAILED).keys()
            noted = {
                "readers": judgement.counts.total,
                "lost": len(judgement.lost - failed),
                "doubled": judgement.doubles,
                "in_doubt": judgement.counts.in_doubt,
                "unexpected": len(judgement.strangers),
            }
            self.note(row, **(noted | figures))
        return judgement

    def note(self, row: str, **figures: int) -> None:
        """Note figures for a row of the table; before the assertions, so that a red row has them too."""
        engine = "SQLite" if self.database.is_sqlite else "PostgreSQL"
        self.record(ROW, {"row": row, "engine": engine, **figures})
