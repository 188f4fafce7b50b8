"""Rows S8 and S3: a slow relay holds up no confirmation, and being slow makes no doubles."""

from functools import partial
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.sending.smtp.connection import TIMEOUTS
from mailer.sending.smtp.conversation import Step
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest, status
from tests.faults.judge import judge
from tests.faults.relays import FULL, relay, size, slowly
from tests.support.processes import accepted, working
from tests.support.sending import is_sent
from tests.support.waiting import wait_until
from tests.support.website import serving

SIGN_UPS = 20
AT_ONCE = 5
"""How many confirmations are on their way at most."""

REPLY_SECONDS = 0.05


@pytest.mark.parametrize("pipelines", [False, True] if FULL else [True])
def test_a_confirmation_overtakes_a_digest_on_a_slow_relay(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, pipelines: bool
) -> None:
    readers = size(1000, 10_000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    ahead: dict[str, int] = {}

    def have_arrived(number: int) -> bool:
        return len(arrived()) >= number

    def arrived() -> dict[str, int]:
        """After how many other mails each confirmation came."""
        taken = enumerate(accepted(there.file))
        return {line["to"]: number for number, line in taken if line["to"] in ahead}

    with (
        serving(
            sqlite_database, keys, signup_limits="address=3/24h,network=99/d,total=999/h"
        ) as web,
        relay(fast_folder / "received", slowly(REPLY_SECONDS), pipelines=pipelines) as there,
        working(sqlite_database, keys, there.port, fast_folder / "log", smtp_connections="10"),
    ):
        wait_until(lambda: len(accepted(there.file)) >= 20)
        for number in range(SIGN_UPS):
            wait_until(partial(have_arrived, number - AT_ONCE))
            address = f"newcomer{number}@example.com"
            ahead[address] = len(accepted(there.file))
            answer = web.post("/subscribe", {"email": address, "newsletter": "daily"})
            assert answer.status == 200
        wait_until(partial(have_arrived, SIGN_UPS))
        still_runs = counts(sqlite_database, digest_id).pending
    overtaken_by = sorted(number - ahead[address] for address, number in arrived().items())
    note("S8", sqlite_database, readers=readers)
    # Otherwise they had nothing to overtake.
    assert still_runs > 0
    assert len(accepted(there.file)) == len({line["to"] for line in accepted(there.file)})
    # A tenth of the digest would be a second or two; behind it, everything.
    assert overtaken_by[int(0.95 * SIGN_UPS) - 1] <= readers // 4, overtaken_by


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
            wait_until(lambda: is_sent(sqlite_database, digest_id))
    found = judge(sqlite_database, digest_id, there.file)
    note("S3", sqlite_database, found)
    assert found.status is DigestStatus.SENT
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt, found.counts.sent) == (0, 0, readers)
    assert status(sqlite_database, digest_id) is DigestStatus.SENT
