from io import StringIO

import pytest

from mailer.demo.checklist import Checklist, Mismatch, StepFailed, expect, require
from mailer.demo.program import CommandFailed


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_steps_are_numbered_and_say_how_they_ended() -> None:
    out = StringIO()
    checklist = Checklist(out)
    with checklist.step("first"):
        pass
    with checklist.step("second"):
        pass
    first, second = out.getvalue().splitlines()
    assert first.split() == ["1", "first", "ok", "0.0", "s"]
    assert second.split() == ["2", "second", "ok", "0.0", "s"]


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (Mismatch("expected a: 1\nseen: 2"), ["expected a: 1", "seen: 2"]),
        (CommandFailed("mailer init\nexit status 1: no"), ["mailer init", "exit status 1: no"]),
    ],
)
def test_a_failed_step_prints_why(error: Exception, printed: list[str]) -> None:
    out = StringIO()
    with pytest.raises(StepFailed), Checklist(out).step("breaks"):
        raise error
    first, *rest = out.getvalue().splitlines()
    assert first.split() == ["1", "breaks", "FAILED", "0.0", "s"]
    assert [line.strip() for line in rest] == printed


def test_other_errors_are_not_hidden() -> None:
    out = StringIO()
    with pytest.raises(KeyboardInterrupt), Checklist(out).step("ends early"):
        raise KeyboardInterrupt
    assert out.getvalue().endswith("\n")


def test_expectations_name_what_was_expected_and_what_was_seen() -> None:
    expect("the same", 1, 1)
    require("truth", True, "anything")
    with pytest.raises(Mismatch, match="expected the status: 200\nseen: 404"):
        expect("the status", 404, 200)
    with pytest.raises(Mismatch, match="expected one link\nseen: \\[\\]"):
        require("one link", False, [])


def test_only_a_terminal_gets_the_status_line() -> None:
    file, terminal = StringIO(), Terminal()
    for out in (file, terminal):
        checklist = Checklist(out)
        checklist.show_status("in 3 s")
        checklist.show_status("in 3 s")
        checklist.say("news")
        checklist.show_status("")
    assert file.getvalue() == "news\n"
    assert terminal.getvalue() == "in 3 s\r\x1b[2Knews\nin 3 s\r\x1b[2K"
