"""Commands typed in the tests' process end as processes do, and leave the process as it was."""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support import commands

KEYS = {"MAILER_SECRET_KEY": "s" * 40, "MAILER_IDENTITY_KEY": "i" * 40}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--help",),
        ("no-such-noun",),
        ("address", "check", "anna@example.com", "nobody"),
        ("db", "check"),
    ],
    ids=repr,
)
def test_a_command_ends_as_its_process_does(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    environment = commands.own_environment() | KEYS
    here, own = (
        commands.type_command(*arguments, folder=tmp_path, environment=environment, process=process)
        for process in (False, True)
    )
    assert (here.returncode, here.stdout, here.stderr) == (own.returncode, own.stdout, own.stderr)


def test_what_it_was_lent_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def state() -> list[object]:
        root = logging.getLogger()
        return [Path.cwd(), dict(os.environ), sys.stdin, sys.stdout, sys.stderr, root.handlers[:],
                root.level, logging.getLogger("alembic").level, logging.raiseExceptions,
                *map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))]  # fmt: skip

    def command(arguments: tuple[str, ...]) -> int:
        assert (Path.cwd(), os.environ["MAILER_PORT"], sys.stdin.read()) == (tmp_path, "1", "")
        assert "HOME" not in os.environ
        assert not any(file.isatty() for file in (sys.stdin, sys.stdout, sys.stderr))
        logging.basicConfig(level="DEBUG", force=True)
        logging.getLogger("alembic").setLevel("DEBUG")
        logging.raiseExceptions = False
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.environ["MAILER_LEFT_BEHIND"] = "1"
        print("out")
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "main", command)
    before = state()
    ended = commands.type_command(
        "x", folder=tmp_path, environment={"MAILER_PORT": "1"}, process=False
    )
    assert state() == before
    assert (ended.returncode, ended.stdout) == (1, "out\n")
    assert "ZeroDivisionError" in ended.stderr
