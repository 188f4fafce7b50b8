"""requirements-hashed.txt: what an installation needs, in the versions of constraints.txt, with hashes."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
HASHED = (ROOT / "requirements-hashed.txt").read_text()
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


def versions(text: str) -> dict[str, str]:
    pins = [line.rstrip(" \\") for line in text.splitlines() if re.match("[a-z]", line)]
    return {pin.partition("==")[0]: pin for pin in pins}


def needed() -> set[str]:
    """What an installation with PostgreSQL needs here, and what that needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["postgresql"]]
    waiting, found = [Requirement(text) for text in texts], set[str]()
    while waiting:
        one = waiting.pop()
        if one.marker is None or one.marker.evaluate():
            name = canonicalize_name(one.name)
            if name not in found:
                found.add(name)
                waiting += _needed_by(one)
    return found


def _needed_by(one: Requirement) -> list[Requirement]:
    found = []
    for text in requires(one.name) or ():
        requirement = Requirement(text)
        extras = one.extras or {""}
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras
        ):
            requirement.marker = None
            found.append(requirement)
    return found


def test_both_files_name_the_same_versions() -> None:
    assert versions(HASHED).items() <= versions(CONSTRAINTS).items()


def test_nothing_that_an_installation_needs_is_missing() -> None:
    assert needed() - versions(HASHED).keys() == set()


def test_every_line_has_its_hashes_and_names_no_registry() -> None:
    for pin in re.split(r"\n(?=[a-z])", HASHED)[1:]:
        assert re.fullmatch(r"[^\n]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n?)+", pin), pin
    assert "--hash" not in CONSTRAINTS
    assert "://" not in HASHED + CONSTRAINTS
