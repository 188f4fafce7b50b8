"""Commands that run in the tests' own process; they must leave its logging as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailer.cli import main
from tests.typed import NEWSLETTER, Ask, logging_put_back


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

    def typed(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        found = capsys.readouterr()
        return code, found.out, found.err

    for arguments in (("init", "--yes"), NEWSLETTER):
        assert typed(*arguments)[0] == 0
    return typed
