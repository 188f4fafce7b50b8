"""Checks the rules of the tree that no tool checks: pure modules, the command line, names and sizes."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imports import MAILER, imported, is_any_of

MODULES = sorted(MAILER.rglob("*.py"))

MARKED = re.compile(r"(?:^|[.!?]\s+)Pure[.:]", re.MULTILINE)
"""How a docstring says that its module, or its whole package, is pure."""
NOT_PURE = (
    *("sqlalchemy", "socket", "selectors", "ssl", "asyncio", "time", "random", "secrets", "os"),
    *("subprocess", "threading", "mailer.db", "mailer.app", "mailer.cli", "mailer.demo"),
    *("mailer.scheduler", "mailer.worker", "mailer.web.server"),
)

SAME_NAME = {
    "Worker": "a row of the table of workers, and the role that it stands for",
}
"""Classes that share their name with one other, and why."""

MODULES_IN_A_FOLDER = 13
LINES_OF_A_MODULE = 350
LINES_OF_A_FUNCTION = 60


def name(path: Path) -> str:
    return path.relative_to(MAILER).as_posix()


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def is_pure(path: Path) -> bool:
    packages = [folder / "__init__.py" for folder in path.parents if folder.is_relative_to(MAILER)]
    return any(MARKED.search(docstring(one)) for one in (path, *packages))


PURE = [path for path in MODULES if is_pure(path)]


@pytest.mark.parametrize("path", PURE, ids=name)
def test_a_pure_module_imports_no_database_network_clock_or_chance(path: Path) -> None:
    # A type is no clock.
    modules = imported(path) - {"time.struct_time"}
    assert {module for module in modules if is_any_of(module, NOT_PURE)} == set()


def test_many_modules_are_pure() -> None:
    assert len(PURE) >= 60


def test_the_command_line_has_no_sql() -> None:
    users = [
        name(path)
        for path in (MAILER / "cli").rglob("*.py")
        if any(is_any_of(module, ("sqlalchemy",)) for module in imported(path))
    ]
    assert users == []


def test_no_two_classes_share_a_name() -> None:
    classes = Counter(
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {one for one, count in classes.items() if count > 1} == SAME_NAME.keys()


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    modules = Counter(name(path.parent) for path in MODULES if not path.stem.startswith("__"))
    crowded = {folder for folder, count in modules.items() if count > MODULES_IN_A_FOLDER}
    # One file for each noun, and one for each page.
    assert crowded - {"cli", "web"} == set()


def test_no_module_is_long() -> None:
    long = {
        name(path)
        for path in MODULES
        if len(lines := path.read_text().splitlines()) > LINES_OF_A_MODULE
        and not any(line.startswith("# Long because ") for line in lines)
    }
    assert not long


def long_functions(path: Path) -> Iterator[str]:
    text = path.read_text()
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            own = lines[node.lineno - 1 : node.end_lineno]
            says_why = any(line.strip().startswith("# Long because ") for line in own)
            if len(own) > LINES_OF_A_FUNCTION and not says_why:
                yield f"{name(path)}: {node.name}"


def test_a_long_function_says_why() -> None:
    assert [found for path in MODULES for found in long_functions(path)] == []
