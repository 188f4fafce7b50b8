"""`mailer lint`: one shape for one file, a list for several, and what cannot be read."""

import json
from pathlib import Path

import pytest

from mailer.cli import main

SAMPLES = Path(__file__).parents[2] / "data" / "mail"
GOOD = str(SAMPLES / "good" / "digest-en.eml")
BAD = str(SAMPLES / "bad" / "header-missing.eml")
PROBLEM = {"rule": "header-missing", "detail": "there is no Subject, or it is empty"}


def test_a_good_mail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--json", GOOD]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"ok": True, "problems": []}
    assert printed.err == ""


def test_a_bad_mail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--json", BAD]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"ok": False, "problems": [PROBLEM]}
    assert printed.err.startswith("error: 1 of 1 mail failed")
    assert printed.err.count("\n") == 1


def test_several_files_in_their_order(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.eml")
    assert main(["lint", GOOD, missing, BAD, "--json"]) == 1
    good, unread, bad = json.loads(capsys.readouterr().out)
    assert good == {"file": GOOD, "ok": True, "problems": []}
    assert set(unread) == {"file", "error"}
    assert "cannot read" in unread["error"]
    assert bad == {"file": BAD, "ok": False, "problems": [PROBLEM]}


def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["lint", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: cannot read {tmp_path}")
    assert printed.err.count("\n") == 1


def test_for_people(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["lint", GOOD, BAD, str(tmp_path / "missing.eml")]) == 1
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["file", "rule"],
        [GOOD, "ok"],
        [BAD, "header-missing"],
        [str(tmp_path / "missing.eml"), "error"],
    ]
    assert printed.err.startswith("error: 2 of 3 mails failed")


def test_no_file_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 2
    assert capsys.readouterr().out == ""
