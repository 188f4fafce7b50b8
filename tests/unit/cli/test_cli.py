"""The frame of the command line: quick help, helpful refusals, exit codes."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mailer import cli
from mailer.cli import COMMANDS, main, main_group
from mailer.cli.digest import digest
from mailer.cli.feed import feed
from mailer.cli.lazy import LazyGroup
from mailer.cli.schedule import schedule
from mailer.errors import Refused
from tests.support.commands import NEWSLETTER


def test_help_imports_neither_sqlalchemy_nor_anything_else_that_is_slow() -> None:
    code = (
        "import sys; from mailer.cli import main; main(['--help']); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "Commands:" in done.stdout
    assert "mailer.cli" in modules
    slow = {"sqlalchemy", "jinja2", "babel", "rich", "starlette", "email_validator", "alembic"}
    assert not modules & slow


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_says_what_it_is_for(name: str) -> None:
    command = main_group.get_command(click.Context(main_group), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(100)


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group in (digest, feed, schedule) for name in group.table]
)
def test_a_line_of_help_is_how_the_command_s_own_help_begins(group: LazyGroup, name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert (command.name, command.get_short_help_str(100)) == (name, group.table[name][1])


def complete(typed: str) -> list[str]:
    """What a shell would offer for the last word of what is typed."""
    ended = subprocess.run(
        [sys.executable, "-m", "mailer"],
        env={
            **os.environ,
            "_MAILER_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mailer sub", ["subscriber"]),
        ("mailer digest pre", ["preview"]),
        ("mailer schedule re", ["resume", "remove"]),
        ("mailer digest send --s", ["--slot"]),
        ("mailer run w", ["web", "worker"]),
        ("mailer --ver", ["--version"]),
        ("mailer digets sub", ["subscriber"]),
        ("mailer digest sned --", ["--help"]),
    ],
)
def test_completion(typed: str, offered: list[str]) -> None:
    assert complete(typed) == offered


def test_names_of_commands_are_completed_without_loading_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(LazyGroup, "get_command")
    found = {
        group: [one.value for one in group.shell_complete(click.Context(group), "s")]
        for group in (main_group, digest)
    }
    assert found == {
        main_group: ["status", "schedule", "subscriber", "suppression"],
        digest: ["send", "show"],
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("newsleter", "Did you mean 'newsletter'?"),
        ("db upgrad", "Did you mean 'upgrade'?"),
        ("db check --jsn", "Did you mean '--json'?"),
        ("db check extra", "extra"),
        ("address check", "Missing argument"),
        ("run wb", "'web'"),
        ("schedule edit daily/x", "give one of the options. See"),
        ("schedule edit x/y --days mon --days thu", "'--days' was given 2 times"),
        ("digest plan x/y --slot 1 --slot=2", "'--slot' was given 2 times"),
        ("feed add u --newsletter a --newsletter b", "given 2 times"),
        ("digest show 99999999999999999999", "is not in the range"),
        ("schedule next x/y --count 10001", "is not in the range 1<=x<=10000"),
        ("digest plan x/y --as", "requires an argument. See `mailer digest plan --help`"),
        ("digest edit x/y --lead 99999999999999999999", "is not in the range"),
        ("article withdraw 99999999999999999999", "is not in the range"),
        ("xyzzy", "See `mailer --help`"),
    ],
)
def test_bad_usage_is_one_line_that_names_the_next_step(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert told in err
    assert "--help" in err


@pytest.mark.parametrize("arguments", [[], ["db"]])
def test_without_a_command_the_help_is_shown(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (Refused("it is\ntoo late"), 1, "error: it is too late\n"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_how_errors_end(
    error: BaseException,
    code: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command
    def failing() -> None:
        raise error

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: failing)
    assert main(["db"]) == code
    assert capsys.readouterr().err == told


def test_a_defect_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def failing() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: failing)
    with pytest.raises(ZeroDivisionError):
        main(["db"])


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailer", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("mailer, version ")


def test_an_argument_that_is_not_utf_8_is_bad_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def encode(*_: object, **__: object) -> None:
        "\udcff".encode()

    monkeypatch.setattr(cli.main_group, "main", encode)
    assert main(["pause", "--reason", "\udcff"]) == 2
    assert capsys.readouterr().err == (
        "error: an argument is not in UTF-8; type it again in UTF-8\n"
    )
    with pytest.raises(UnicodeEncodeError):
        main(["pause"])


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_output_that_cannot_be_written_is_one_line(form: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "mailer", "address", "check", "a@example.com", *form],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: the output cannot be written (No space left on device)")
    assert ended.stderr.count("\n") == 1


def test_of_an_option_that_is_no_list_the_last_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    capsys.readouterr()
    assert main([*NEWSLETTER, "--title", "Two", "--json"]) == 0
    assert '"title": "Two"' in capsys.readouterr().out


def test_a_command_in_another_s_process_leaves_its_garbage_collector_as_it_was() -> None:
    before = gc.isenabled(), gc.get_freeze_count()
    assert main(["digest", "send", "--help"]) == 0
    assert (gc.isenabled(), gc.get_freeze_count()) == before
