"""What import-linter cannot see: what tests import, and what a command has imported when it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import NEWSLETTER
from tests.support.imports import MAILER, imported, is_any_of

TESTS = Path(__file__).resolve().parents[1]


def of_the_mailer(path: Path) -> set[str]:
    """What a file imports of the mailer other than the demo, which uses it from outside too."""
    return {
        name
        for name in imported(path)
        if is_any_of(name, ("mailer",)) and not is_any_of(name, ("mailer.demo",))
    }


OUTSIDE = [
    *(TESTS / "acceptance").rglob("*.py"),
    *(MAILER / "demo").rglob("*.py"),
    *(
        TESTS / "support" / f"{name}.py"
        for name in ("http_site", "provider_payloads", "receiver", "waiting")
    ),
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_acceptance_tests_and_the_demo_import_nothing_else_of_the_mailer(path: Path) -> None:
    assert of_the_mailer(path) == set()


def test_there_are_acceptance_tests() -> None:
    assert len(OUTSIDE) > 20
    assert of_the_mailer(TESTS / "conftest.py")


SLOW = {
    "aiosmtpd", "alembic", "apscheduler", "babel", "chardet", "cryptography", "css_inline", "difflib",
    "email_validator", "feedparser", "jinja2", "markdown_it", "prometheus_client", "rich.console",
    "starlette", "urllib3", "uvicorn", "mailer.sending.send_loop", "mailer.feeds.http.fetch",
    "mailer.scheduler", "mailer.templating.templates", "mailer.web", "mailer.worker",
}  # fmt: skip
"""What no list may wait for. SQLAlchemy itself imports ssl, with asyncio."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installation in it, which has a schedule."""
    folder = tmp_path_factory.mktemp("installation")
    schedule = ("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "UTC")
    for arguments in (("init",), NEWSLETTER, schedule):
        subprocess.run([sys.executable, "-m", "mailer", *arguments], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "newsletter list",
        "schedule list",
        "digest list",
        "digest plan daily/morning",
        "status",
        "subscriber list",
        "feed list",
        "article list",
        "delivery list",
        "suppression list",
        "digest --help",
    ],
)
def test_a_list_imports_nothing_that_is_slow(command: str, folder: Path) -> None:
    code = (
        "import sys; from mailer.cli import main; main(sys.argv[1:]); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(ended.stderr.splitlines()[-1].split())
    assert "mailer.cli.lazy" in imported
    assert not imported & SLOW
    if command.endswith("--help"):
        assert "sqlalchemy" not in imported
