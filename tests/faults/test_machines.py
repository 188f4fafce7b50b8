"""Workers as on several machines: folders, settings and groups of their own, and PostgreSQL over TCP.

One of them is killed and started again, as after a power cut of its machine; the others do not wait for it.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, DigestStatus, Worker
from mailer.tokens import Keys
from tests.faults.cluster import Cluster
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import judge
from tests.faults.relays import size
from tests.support.processes import (
    ROOT,
    accepted,
    environment,
    has_more,
    killed_in_the_end,
    receiving,
)
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

READERS = size(600, 10_000)
CONNECTIONS = 4


def machine(folder: Path, database: Database, keys: Keys, port: int) -> "subprocess.Popen[bytes]":
    """A worker whose settings stand in a `mailer.toml` in its own folder, and nowhere else."""
    settings = environment(database, keys, port, {})
    if not folder.exists():
        folder.mkdir(mode=0o700)
        lines = [
            f'{name.removeprefix("MAILER_").lower()} = "{value}"\n'
            for name, value in settings.items()
            if name.startswith("MAILER_")
        ]
        (folder / "mailer.toml").write_text("".join(lines))
        (folder / "mailer.toml").chmod(0o600)
    plain = {name: value for name, value in settings.items() if not name.startswith("MAILER_")}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mailer", "run", "worker"],
            cwd=folder,
            env=plain | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def shares(database: Database) -> Counter[int | None]:
    """How many mails each worker has sent."""
    with database.read() as session:
        sent = Delivery.status == DeliveryStatus.SENT
        return Counter(session.scalars(select(Delivery.worker_id).where(sent)))


def workers(database: Database) -> int:
    """How many workers have ever begun."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Worker)) or 0


@pytest.mark.timeout(size(300, 600))
def test_three_machines_share_the_work_and_one_dies(
    own_cluster: Cluster, keys: Keys, fast_folder: Path, note: Note
) -> None:
    file = fast_folder / "received"
    folders = [fast_folder / name for name in ("first", "second", "third")]
    with own_cluster.database(keys, tcp=True) as database:
        assert database.url.host == "127.0.0.1"
        digest_id = queue_digest(database, keys, READERS)
        with receiving(file, delay=0.05, kind="pipelining") as port, ExitStack() as stack:
            machines = [
                stack.enter_context(killed_in_the_end(machine(folder, database, keys, port)))
                for folder in folders
            ]
            wait_until(lambda: len(shares(database)) == len(folders))
            wait_until(partial(has_more, file, READERS // 5))
            os.killpg(machines[0].pid, signal.SIGKILL)
            machines[0].wait()
            at_the_kill = len(accepted(file))
            stack.enter_context(killed_in_the_end(machine(folders[0], database, keys, port)))
            # The others go on meanwhile, and the rows that it held are taken over.
            wait_until(partial(has_more, file, at_the_kill + CONNECTIONS))
            wait_until(lambda: is_sent(database, digest_id))
            wait_until(lambda: workers(database) == len(folders) + 1)
        found = judge(database, digest_id, file)
        note("machines", database, found, kills=1)
        done = shares(database)
    assert found.lost == set()
    assert found.strangers == set()
    assert found.doubles <= CONNECTIONS
    assert found.doubled_without_doubt == set()
    assert found.adds_up
    assert found.status is DigestStatus.SENT
    assert (found.counts.total, found.counts.sent) == (READERS, READERS)
    # The kill found mails in flight, and no machine has done it all.
    assert 0 < found.counts.in_doubt <= CONNECTIONS
    assert len(done) >= len(folders)
    assert max(done.values()) < READERS * 3 / 4
