"""`mailer bounce classify`: one shape for one file, a list for several, and what cannot be read."""

import json
from pathlib import Path

import pytest

from mailer.cli import main
from tests.support.returned_mails import READER, postfix

BOUNCE = {
    "kind": "hard",
    "recipients": [
        {
            "address": READER,
            "action": "failed",
            "status": "5.1.1",
            "diagnostic": "550 5.1.1 User unknown",
        }
    ],
    "reason": "user_unknown",
}


@pytest.fixture
def bounce(tmp_path: Path) -> str:
    path = tmp_path / "bounce.eml"
    path.write_text(postfix("5.1.1", "550 5.1.1 User unknown"))
    return str(path)


@pytest.fixture
def reply(tmp_path: Path) -> str:
    path = tmp_path / "reply.eml"
    path.write_text("Subject: Re: The Gazette\n\nThank you!\n")
    return str(path)


def test_one_file(capsys: pytest.CaptureFixture[str], bounce: str) -> None:
    assert main(["bounce", "classify", "--json", bounce]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == BOUNCE
    assert printed.err == ""


def test_several_files_in_their_order(
    capsys: pytest.CaptureFixture[str], bounce: str, reply: str, tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing.eml")
    assert main(["bounce", "classify", bounce, missing, reply, "--json"]) == 0
    first, unread, last = json.loads(capsys.readouterr().out)
    assert first == {"file": bounce} | BOUNCE
    assert set(unread) == {"file", "error"}
    assert "cannot read" in unread["error"]
    assert last == {"file": reply, "kind": "none", "recipients": [], "reason": "ordinary"}


def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bounce", "classify", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: cannot read {tmp_path}")


def test_for_people(capsys: pytest.CaptureFixture[str], bounce: str, reply: str) -> None:
    assert main(["bounce", "classify", bounce, reply]) == 0
    printed = capsys.readouterr().out
    assert "user_unknown" in printed
    assert READER in printed
    assert "ordinary" in printed


def test_no_settings_are_needed(
    capsys: pytest.CaptureFixture[str], bounce: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_CONFIG", "/nowhere/mailer.toml")
    assert main(["bounce", "classify", "--json", bounce]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "hard"


def test_without_stdin_a_file_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["bounce", "process"]) == 1
    assert "give the FILE" in capsys.readouterr().err
