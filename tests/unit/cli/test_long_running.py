"""How a command that takes long is told to stop, and how often it says how far it is."""

import os
import signal

import pytest

from mailer.cli.long_running import rows_in_lines, stop_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_wish_to_stop(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_signals() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()
        assert interrupted()
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err == "finishing what is under way: at most 30 seconds\n"


def test_rows_are_told_every_ten_seconds_and_in_whole_lines() -> None:
    told: list[str] = []
    now = 100.0
    show = rows_in_lines(told.append, lambda: now)
    for now in (100.5, 109.9, 110.0, 119.0, 121.0):
        show(int((now - 100) * 4000))
    assert told == ["40,000 rows, 4,000/s", "84,000 rows, 4,000/s"]


def test_a_short_import_says_nothing_of_its_progress() -> None:
    told: list[str] = []
    rows_in_lines(told.append, lambda: 1.0)(500)
    assert told == []
