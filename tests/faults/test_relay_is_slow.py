"""Rows S8 and S3: a slow relay holds up no confirmation, and being slow makes no doubles."""

import time
from functools import partial
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.delivery.conversation import Step
from mailer.delivery.relay import TIMEOUTS
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest, status
from tests.faults.judge import judge
from tests.faults.relays import FULL, relay, size, slowly
from tests.processes import accepted, working
from tests.sending import is_sent
from tests.waiting import wait_until
from tests.website import serving

SIGN_UPS = 20
AT_ONCE = 5
"""How many confirmations are on their way at most."""

SOON_SECONDS = 5.0
REPLY_SECONDS = 0.05


@pytest.mark.parametrize("pipelines", [False, True] if FULL else [True])
def test_a_confirmation_overtakes_a_digest_on_a_slow_relay(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, pipelines: bool
) -> None:
    readers = size(1000, 10_000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    asked_at: dict[str, float] = {}

    def have_arrived(number: int) -> bool:
        return len(arrived()) >= number

    def arrived() -> dict[str, float]:
        return {line["to"]: line["at"] for line in accepted(there.file) if line["to"] in asked_at}

    with (
        serving(
            sqlite_database, keys, signup_limits="address=3/24h,network=99/d,total=999/h"
        ) as web,
        relay(fast_folder / "received", slowly(REPLY_SECONDS), pipelines=pipelines) as there,
        working(sqlite_database, keys, there.port, fast_folder / "log", smtp_connections="10"),
    ):
        wait_until(lambda: len(accepted(there.file)) >= 20, 30)
        for number in range(SIGN_UPS):
            wait_until(partial(have_arrived, number - AT_ONCE), 30)
            address = f"newcomer{number}@example.com"
            asked_at[address] = time.monotonic()
            answer = web.post("/subscribe", {"email": address, "newsletter": "daily"})
            assert answer.status == 200
        wait_until(partial(have_arrived, SIGN_UPS), 60)
        still_runs = counts(sqlite_database, digest_id).pending
    waits = sorted(at - asked_at[address] for address, at in arrived().items())
    note("S8", sqlite_database, readers=readers)
    # Otherwise they had nothing to overtake.
    assert still_runs > 0
    assert len(accepted(there.file)) == len({line["to"] for line in accepted(there.file)})
    assert waits[int(0.95 * SIGN_UPS) - 1] <= SOON_SECONDS, waits


def test_an_answer_to_the_dot_that_takes_a_fifth_of_our_patience_makes_no_double(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    # Two minutes, of the ten that RFC 5321 section 4.5.3.2.6 asks for, made shorter.
    assert TIMEOUTS[Step.DOT] >= 600
    readers = size(8, 40)
    digest_id = queue_digest(sqlite_database, keys, readers)
    with relay(fast_folder / "received") as there:
        there.hold_seconds = 1.0
        with working(
            sqlite_database, keys, there.port, fast_folder / "log", smtp_timeouts="dot=5s"
        ):
            wait_until(lambda: is_sent(sqlite_database, digest_id), 60)
    found = judge(sqlite_database, digest_id, there.file)
    note("S3", sqlite_database, found)
    assert found.status is DigestStatus.SENT
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt, found.counts.sent) == (0, 0, readers)
    assert status(sqlite_database, digest_id) is DigestStatus.SENT
