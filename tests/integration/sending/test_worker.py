"""`mailer run worker` as processes: two of them share the work. SIGTERM is tested with the other faults."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import select

from mailer.db import Database
from mailer.models import Delivery
from mailer.tokens import Keys
from tests.support.processes import accepted, receiving, working
from tests.support.sending import build, counts, is_sent
from tests.support.waiting import wait_until


def test_two_workers_never_send_one_delivery_twice(
    postgresql_database: Database, keys: Keys, fast_folder: Path
) -> None:
    digest_id = build(postgresql_database, keys, 400)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, delay=0.01) as port, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(working(postgresql_database, keys, port, log))
        wait_until(lambda: is_sent(postgresql_database, digest_id))
    copies = Counter(line["to"] for line in accepted(file))
    assert len(copies) == 400
    assert set(copies.values()) == {1}
    assert counts(postgresql_database, digest_id).in_doubt == 0
    with postgresql_database.read() as session:
        shares = Counter(session.scalars(select(Delivery.worker_id)))
    # Otherwise one has done it all, and this has shown nothing.
    assert len(shares) == 2
    assert min(shares.values()) > 40
