"""Reads which modules a file imports, without running it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAILER = ROOT / "mailer"


def imported(path: Path) -> set[str]:
    """All modules that a file imports, and what it imports from them, with dots."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def is_any_of(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of these packages or stands in one."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
