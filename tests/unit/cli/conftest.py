"""Commands that run in the tests' own process; they must leave its logging as it was."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailer.cli import main
from tests.support.commands import NEWSLETTER, Ask, logging_put_back


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    with logging_put_back():
        yield


@pytest.fixture
def newsletter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ask:
    """Types a command in an installation with the newsletter `daily`: its exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def typed(line: str, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main((*shlex.split(line), *arguments))
        found = capsys.readouterr()
        return code, found.out, found.err

    for arguments in (("init --yes",), NEWSLETTER):
        assert typed(*arguments)[0] == 0
    return typed


@pytest.fixture
def ask(newsletter: Ask) -> Ask:
    """Types a command in an installation with a schedule, a reader and an article."""
    for line in (
        "schedule add daily morning --at 07:00 --zone Asia/Yerevan",
        "article add --newsletter daily --url https://a.example/1 --title One",
        "subscriber add anna@example.com --newsletter daily --consent-source paper",
    ):
        assert newsletter(line)[0] == 0
    return newsletter
