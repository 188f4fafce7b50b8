"""Breaks each promise by one line, on a copy of the tree, and demands that the promise's test goes red.

The changes stand in tools/mutants.toml, the promises in docs/promises.md. Run by `make mutants`; with
names of tests as arguments only the mutants whose test holds one of them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "mailer",
    "templates",
    "migrations",
    "tests",
    "tools",
    "pyproject.toml",
    "docs",
    "README.md",
)
TIMEOUT_SECONDS = 600
TESTS_FAILED = 1
"""pytest's exit code; others mean that the test could not be run, which proves nothing."""


@dataclass(frozen=True)
class Mutant:
    """One change of one line: `old` must stand in `file` exactly once."""

    promise: int
    file: str
    old: str
    new: str
    test: str


def read() -> list[Mutant]:
    """All mutants."""
    with (ROOT / "tools/mutants.toml").open("rb") as file:
        return [Mutant(**one) for one in tomllib.load(file)["mutant"]]


def changed(text: str, mutant: Mutant) -> str:
    """`text` with the mutant's change.

    Raises:
        ValueError: the change does not fit the text any more.
    """
    if text.count(mutant.old) != 1 or "\n" in mutant.old + mutant.new or mutant.old == mutant.new:
        raise ValueError(
            f"{mutant.file}: {mutant.old!r} stands there {text.count(mutant.old)} times"
        )
    return text.replace(mutant.old, mutant.new)


def is_red(tree: Path, test: str) -> bool:
    """Whether the test fails on the tree as it is.

    Raises:
        RuntimeError: the test could not be run, which proves nothing.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test],
        cwd=tree,
        # The copy has to win over the checkout, which is installed in this environment.
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode not in {0, TESTS_FAILED}:
        raise RuntimeError(f"{test} could not be run:\n{done.stdout}")
    return done.returncode == TESTS_FAILED


def notices(tree: Path, mutant: Mutant) -> bool:
    """Whether the mutant's test fails on the changed tree."""
    path = tree / mutant.file
    before = path.read_text()
    path.write_text(changed(before, mutant))
    try:
        return is_red(tree, mutant.test)
    finally:
        path.write_text(before)


def main(wanted: list[str]) -> int:
    """Try the mutants; the exit code is 1 where a test did not notice its own."""
    chosen = [one for one in read() if not wanted or any(word in one.test for word in wanted)]
    for mutant in chosen:
        # One that does not fit is told now, and not after minutes.
        changed((ROOT / mutant.file).read_text(), mutant)
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        for test in dict.fromkeys(one.test for one in chosen):
            if is_red(tree, test):
                print(f"error: {test} is red without any change; mend it first", file=sys.stderr)
                return 1
        for mutant in chosen:
            noticed = notices(tree, mutant)
            survived += not noticed
            word = "noticed " if noticed else "SURVIVED"
            print(
                f"{word} promise {mutant.promise}: {mutant.file}: {mutant.new.strip()} ({mutant.test})",
                flush=True,
            )
    print(f"{len(chosen)} mutants, {survived} survived")
    return 1 if survived or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
