"""A killed run of the tests leaves no cluster, no daemon and no folder behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import postgresql, temporary
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]

RUN = """
import signal, subprocess, sys, time
from tests.support import postgresql, temporary
# Whoever started the tests may ignore it, as nohup does.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with temporary.folder("mailer-guarded-") as place, postgresql.server() as server:
    daemon = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], cwd=place, start_new_session=True
    )
    cluster = server.create().partition("host=")[2].replace("%2F", "/")
    postmaster = open(f"{cluster}/data/postmaster.pid").readline().strip()
    print(place, cluster, daemon.pid, postmaster, flush=True)
    time.sleep(600)
"""


def _runs(pid: int) -> bool:
    # A dead process that nobody has asked after yet is a zombie.
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_a_run_whose_group_is_killed(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != postgresql.VARIABLE},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        out = process.stdout.readline()
        os.killpg(process.pid, number)
    place, cluster, *pids = out.split()
    assert Path(place).parent == Path(cluster).parent
    wait_until(lambda: not any(map(_runs, map(int, pids))))
    wait_until(lambda: not Path(place).exists() and not Path(cluster).exists())


def test_what_a_cluster_needs_and_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(postgresql.VARIABLE, raising=False)
    with (
        pytest.raises(RuntimeError, match="no_such_setting"),
        temporary.folder("mailer-pg-", cluster={"no_such_setting": "1"}),
    ):
        pass
