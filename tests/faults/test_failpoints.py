"""Rows K3 and K4: kill -9 at every named place of a sender, judged by the receiver's file alone.

With one connection the figures are exact; many connections are for the random kills next door.
"""

import signal

import pytest

from mailer.models import DigestStatus
from tests.faults.conftest import SQLITE
from tests.faults.judge import Judgement
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.waiting import wait_until

READERS = size(12, 10_000)
PASS = size(3, 5000)
"""At which mail the worker dies."""

pytestmark = [pytest.mark.quick, pytest.mark.timeout(size(300, 600))]

KINDS = pytest.mark.parametrize("kind", ["plain", "pipelining"])


def killed_at(
    run: Run, place: str, row: str, kind: str = "plain", on_unknown: str = "resend"
) -> Judgement:
    """One worker dies at `place`, the next one finishes the digest."""
    settings = {"smtp_connections": "1", "on_unknown": on_unknown}
    run.queue(READERS)
    with run.receiving(kind=kind) as port:
        with run.working(port, failpoint=place, **settings) as first:
            assert first.wait() == -signal.SIGKILL, run.log.read_text()
        with run.working(port, **settings):
            wait_until(run.is_sent)
    found = run.judge(row, kills=1)
    assert found.status is DigestStatus.SENT
    assert found.ids_per_delivery == 1
    found.nobody_is_lost(doubles=1)
    return found


@pytest.mark.parametrize(
    "place", ["after-claim", f"after-mail:{PASS}", f"after-rcpt:{PASS}", f"mid-data:{PASS}"]
)
@SQLITE
def test_what_the_relay_cannot_have_taken_is_sent_once(run: Run, place: str) -> None:
    found = killed_at(run, f"worker.{place}", "K3")
    found.everybody_got_one(READERS)


@KINDS
def test_a_start_without_a_dot_is_in_doubt_and_sent_once(run: Run, kind: str) -> None:
    found = killed_at(run, f"worker.after-start-commit:{PASS}", "K4", kind)
    assert (found.doubles, found.counts.in_doubt) == (0, 1)
    assert found.counts.sent == READERS


@KINDS
@pytest.mark.parametrize("place", [f"after-dot:{PASS}", f"before-record:{PASS}"])
def test_what_the_relay_may_have_taken_is_sent_once_more_and_counted(
    run: Run, place: str, kind: str
) -> None:
    found = killed_at(run, f"worker.{place}", "K4", kind)
    assert (found.doubles, found.counts.in_doubt) == (1, 1)
    assert found.counts.sent == READERS


@pytest.mark.parametrize("place", [f"after-dot:{PASS}", f"before-record:{PASS}"])
@SQLITE
def test_with_hold_what_is_in_doubt_stays_and_is_shown(run: Run, place: str) -> None:
    found = killed_at(run, f"worker.{place}", "K4", on_unknown="hold")
    assert found.doubles == 0
    assert (found.counts.unknown, found.counts.in_doubt) == (1, 1)
    assert found.counts.sent == READERS - 1
