import signal
import stat
import tomllib
from pathlib import Path

import pytest

from mailer.demo import program as program_module
from mailer.demo.program import CommandFailed, Program

# A stand-in for the mailer: Python finds this module first, because commands run in their folder.
STAND_IN = """
import json, os, signal, sys, time
if sys.argv[1] == "run":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if "gentle" in os.listdir() else 3))
    print("running", flush=True)
    open("up", "w").close()
    time.sleep(60)
if sys.argv[1] == "fail":
    sys.exit("error: there is no such thing; try another")
print(json.dumps({"arguments": sys.argv[1:], "seen": [k for k in os.environ if "MAILER" in k]}))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    (tmp_path / "mailer.py").write_text(STAND_IN)
    monkeypatch.setenv("MAILER_CONFIG", "/somewhere/else.toml")
    return Program(tmp_path)


def test_a_command_answers_in_json_and_does_not_see_the_users_settings(program: Program) -> None:
    answer = program.ask("digest", "list", "a b")
    assert answer == {"arguments": ["digest", "list", "a b", "--json"], "seen": []}
    assert program.typed == ["mailer digest list 'a b' --json"]


def test_a_refused_command_is_raised_with_its_own_words(program: Program) -> None:
    with pytest.raises(CommandFailed, match=r"mailer fail\nexit status 1: error: there is no such"):
        program.run("fail")


def test_settings_are_written_once_and_the_file_stays_private(program: Program) -> None:
    path = program.folder / "mailer.toml"
    path.write_text('# keys\nsecret_key = "s"\nport = 8000\n')
    path.chmod(0o600)
    program.set({"port": 8100, "base_url": "http://127.0.0.1:8100"})
    assert tomllib.loads(path.read_text()) == {
        "secret_key": "s",
        "port": 8100,
        "base_url": "http://127.0.0.1:8100",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def wait_until_up(program: Program) -> None:
    while not (program.folder / "up").exists():
        assert program.exit_status is None


def test_run_is_ended_by_sigterm_and_its_status_told(program: Program) -> None:
    (program.folder / "gentle").touch()
    program.start()
    wait_until_up(program)
    assert program.exit_status is None
    assert program.stop()[0] == 0
    assert program.log_tail() == "running"
    assert program.stop() == (None, 0.0)


def test_run_that_ends_with_an_error_is_told_as_such(program: Program) -> None:
    program.start()
    wait_until_up(program)
    assert program.stop()[0] == 3


def test_run_that_does_not_end_is_killed(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = STAND_IN.replace("lambda *_: sys.exit(0", "lambda *_: (0")
    (program.folder / "mailer.py").write_text(stubborn)
    monkeypatch.setattr(program_module, "DRAIN_SECONDS", 0.1)
    program.start()
    wait_until_up(program)
    assert program.stop()[0] == -signal.SIGKILL
