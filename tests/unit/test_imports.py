"""What import-linter cannot see: tests that prove things from outside import nothing from inside."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def imported(path: Path) -> set[str]:
    """The top names of all that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found


OUTSIDE = [*(TESTS / "acceptance").rglob("*.py"), TESTS / "receiver.py", TESTS / "waiting.py"]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_acceptance_tests_import_nothing_of_the_mailer(path: Path) -> None:
    assert "mailer" not in imported(path)


def test_there_are_acceptance_tests() -> None:
    assert len(OUTSIDE) > 4
    assert "mailer" in imported(TESTS / "conftest.py")
