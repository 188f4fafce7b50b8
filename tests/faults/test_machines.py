"""Workers as on several machines: folders, settings and groups of their own, and PostgreSQL over TCP.

One of them is killed and started again, as after a power cut of its machine; the others do not wait for it.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, DigestStatus, Worker
from mailer.tokens import Keys
from tests.faults.cluster import Cluster
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.processes import (
    killed_in_the_end,
)
from tests.support.waiting import wait_until

READERS = size(600, 10_000)
CONNECTIONS = 4


def machine(run: Run, folder: Path, port: int) -> "AbstractContextManager[subprocess.Popen[bytes]]":
    """A worker whose settings stand in a `mailer.toml` in its own folder, and nowhere else."""
    settings = run.environment(port)
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
        process = subprocess.Popen(
            [sys.executable, "-m", "mailer", "run", "worker"],
            cwd=folder,
            env=plain,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return killed_in_the_end(process)


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
    own_cluster: Cluster, keys: Keys, run_on: Callable[[Database], Run]
) -> None:
    with own_cluster.database(keys, tcp=True) as database:
        run = run_on(database)
        folders = [run.folder / name for name in ("first", "second", "third")]
        assert database.url.host == "127.0.0.1"
        run.queue(READERS)
        with run.receiving(delay=0.05) as port, ExitStack() as stack:
            machines = [stack.enter_context(machine(run, folder, port)) for folder in folders]
            wait_until(lambda: len(shares(database)) == len(folders))
            wait_until(partial(run.has_more, READERS // 5))
            os.killpg(machines[0].pid, signal.SIGKILL)
            machines[0].wait()
            at_the_kill = len(run.accepted())
            stack.enter_context(machine(run, folders[0], port))
            # The others go on meanwhile, and the rows that it held are taken over.
            wait_until(partial(run.has_more, at_the_kill + CONNECTIONS))
            wait_until(run.is_sent)
            wait_until(lambda: workers(database) == len(folders) + 1)
        found = run.judge("machines", kills=1)
        done = shares(database)
    found.nobody_is_lost(doubles=CONNECTIONS)
    assert found.status is DigestStatus.SENT
    assert (found.counts.total, found.counts.sent) == (READERS, READERS)
    # The kill found mails in flight, and no machine has done it all.
    assert 0 < found.counts.in_doubt <= CONNECTIONS
    assert len(done) >= len(folders)
    assert max(done.values()) < READERS * 3 / 4
