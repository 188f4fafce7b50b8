"""Rows S8 and S3: a slow relay holds up no confirmation, and being slow makes no doubles."""

from functools import partial

import pytest

from mailer.sending.smtp.events import TIMEOUTS, Step
from tests.faults.conftest import SQLITE
from tests.faults.relays import FULL, size, slowly
from tests.faults.run import Run
from tests.support.waiting import wait_until
from tests.support.website import serving

SIGN_UPS = 20
AT_ONCE = 5
"""How many confirmations are on their way at most."""

REPLY_SECONDS = 0.05


@pytest.mark.parametrize("pipelines", [False, True] if FULL else [True])
@SQLITE
def test_a_confirmation_overtakes_a_digest_on_a_slow_relay(run: Run, pipelines: bool) -> None:
    readers = size(1000, 10_000)
    run.queue(readers)
    ahead: dict[str, int] = {}

    def have_arrived(number: int) -> bool:
        return len(arrived()) >= number

    def arrived() -> dict[str, int]:
        """After how many other mails each confirmation came."""
        taken = enumerate(run.accepted())
        return {line["to"]: number for number, line in taken if line["to"] in ahead}

    with (
        serving(
            run.database, run.keys, signup_limits="address=3/24h,network=99/d,total=999/h"
        ) as web,
        run.relay(slowly(REPLY_SECONDS), pipelines=pipelines) as there,
        run.working(there.port, smtp_connections="10"),
    ):
        wait_until(lambda: len(run.accepted()) >= 20)
        for number in range(SIGN_UPS):
            wait_until(partial(have_arrived, number - AT_ONCE))
            address = f"newcomer{number}@example.com"
            ahead[address] = len(run.accepted())
            answer = web.post("/subscribe", {"email": address, "newsletter": "daily"})
            assert answer.status == 200
        wait_until(partial(have_arrived, SIGN_UPS))
        still_runs = run.counts().pending
    overtaken_by = sorted(number - ahead[address] for address, number in arrived().items())
    run.note("S8", readers=readers)
    # Otherwise they had nothing to overtake.
    assert still_runs > 0
    assert len(run.accepted()) == len({line["to"] for line in run.accepted()})
    # A tenth of the digest would be a second or two; behind it, everything.
    assert overtaken_by[int(0.95 * SIGN_UPS) - 1] <= readers // 4, overtaken_by


@SQLITE
def test_an_answer_to_the_dot_that_takes_a_fifth_of_our_patience_makes_no_double(run: Run) -> None:
    # Two minutes, of the ten that RFC 5321 section 4.5.3.2.6 asks for, made shorter.
    assert TIMEOUTS[Step.DOT] >= 600
    readers = size(8, 40)
    run.queue(readers)
    with run.relay() as there:
        there.hold_seconds = 1.0
        with run.working(there.port, smtp_timeouts="dot=5s"):
            wait_until(run.is_sent)
    run.judge("S3").everybody_got_one(readers)
