"""Decides which tests `make test` runs and which only `make test-all` runs; nothing else does.

A test is thorough, so that only `make test-all` runs it, where
- it is marked `thorough`, or needs a program that a fresh machine may not have (`needs_chromium`, …);
- it stands in tests/faults and is not marked `quick`;
- it runs on PostgreSQL and stands below none of `ON_POSTGRESQL`, which are what differs between engines.

No test is skipped. What needs a program that is missing is left out before the run and listed at its end;
where CI is set, that fails the run.
"""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

TESTS: Final = Path(__file__).parents[1]
ON_POSTGRESQL: Final = (
    "unit/",
    "integration/sending/test_in_doubt.py",
    "integration/sending/test_ledger.py",
    "integration/sending/test_notices_in_doubt.py",
    "integration/digests/test_builder.py",
    "integration/digests/test_builders_at_once.py",
    "integration/digests/test_one_off.py",
    "integration/feeds/test_refresh.py",
    "integration/journal/test_copies.py",
    "integration/subscribers/test_csv_import.py",
    "integration/subscribers/test_preferences.py",
    "integration/subscribers/test_races.py",
    "integration/subscribers/test_readers.py",
    "integration/test_migrations.py",
    "integration/test_scheduler.py",
    "integration/web/test_links.py",
    "acceptance/test_installation.py",
    "acceptance/test_journey.py",
)
"""Files and folders below tests/ that `make test` runs on PostgreSQL as well as on SQLite."""

_CHOICES: Final = {
    "quick": "what `make test` runs",
    "rest": "what it leaves out, and as processes the commands that it types in its own",
    "all": "everything",
}


def _runs(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _has_node() -> bool:
    own = TESTS.parent / ".venv" / "bin" / "node"
    has_program = own.exists() or shutil.which("node") is not None
    return has_program and (TESTS / "node_modules" / ".installed").exists()


def _may_mount() -> bool:
    # Each container is another one: only trying tells.
    asking = () if os.geteuid() == 0 else ("sudo", "-n")
    return _runs(*asking, "unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt")


NEEDS: Final[dict[str, tuple[str, Callable[[], bool]]]] = {
    "chromium": ("apt-get install chromium fonts-dejavu-core",
                 lambda: shutil.which("chromium") is not None),
    "dovecot": ("apt-get install dovecot-imapd",
                lambda: shutil.which("dovecot", path=f"{os.defpath}:/usr/sbin") is not None),
    "mount": ("run as root, where the container may mount (docker run --cap-add SYS_ADMIN)", _may_mount),
    "node": ("make node", _has_node),
    "opendkim": ("apt-get install opendkim",
                 lambda: shutil.which("opendkim", path=f"{os.defpath}:/usr/sbin") is not None),
    "perl": ("apt-get install libemail-mime-perl", lambda: _runs("perl", "-MEmail::MIME", "-e", "1")),
    "postfix": ("apt-get install postfix",
                lambda: shutil.which("smtp-sink", path=f"{os.defpath}:/usr/sbin") is not None),
    "running_postfix": ("run as root, after apt-get install postfix",
                        lambda: os.geteuid() == 0 and os.path.exists("/usr/lib/postfix/sbin/master")),
    "strace": ("apt-get install strace", lambda: shutil.which("strace") is not None),
}  # fmt: skip
"""What a mark `needs_…` asks for: how one gets it, and whether it is there."""

_not_run: Counter[str] = Counter()


def is_thorough(item: pytest.Item) -> bool:
    """Whether only `make test-all` runs this test."""
    place = item.path.relative_to(TESTS).as_posix()
    if item.get_closest_marker("thorough") or needs(item):
        return True
    if place.startswith("faults/") and not item.get_closest_marker("quick"):
        return True
    return _runs_on_postgresql(item) and not place.startswith(ON_POSTGRESQL)


def needs(item: pytest.Item) -> set[str]:
    """What the test is marked to need."""
    marks = {mark.name for mark in item.iter_markers()}
    return {name for name in NEEDS if f"needs_{name}" in marks}


def _runs_on_postgresql(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    chosen = () if parameters is None else parameters.params.values()
    fixtures = getattr(item, "fixturenames", ())
    return "postgresql" in chosen or any(name.startswith("postgresql_") for name in fixtures)


def _is_typed_here(item: pytest.Item) -> bool:
    """Whether `make test` typed the commands of this test in its own process."""
    acceptance = item.path.is_relative_to(TESTS / "acceptance")
    return acceptance and item.get_closest_marker("real_processes") is None


def _belongs(item: pytest.Item, tier: str) -> bool:
    if tier == "quick":
        return not is_thorough(item)
    return tier == "all" or is_thorough(item) or _is_typed_here(item)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --tier."""
    told = "; ".join(f"{name}: {meaning}" for name, meaning in _CHOICES.items())
    parser.addoption("--tier", choices=list(_CHOICES), default="all", help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    for mark in (
        "thorough: only `make test-all` runs it",
        "quick: `make test` runs it although it stands in tests/faults",
        "real_processes: types each command as a process of its own, in every run",
        *(f"needs_{name}: is thorough; {how}" for name, (how, _) in NEEDS.items()),
    ):
        config.addinivalue_line("markers", mark)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to another tier, and what cannot run here."""
    tier = config.getoption("--tier")
    chosen = [item for item in items if _belongs(item, tier)]
    missing = {name for name in set().union(*map(needs, chosen)) if not NEEDS[name][1]()}
    kept = [item for item in chosen if missing.isdisjoint(needs(item))]
    for item in chosen:
        _not_run.update(missing & needs(item))
    if len(kept) < len(items):
        left_out = set(items) - set(kept)
        items[:] = kept
        config.hook.pytest_deselected(items=list(left_out))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what could not run; in CI the run has failed then."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run"] = dict(_not_run)
    elif _not_run and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of xdist could not run; all of them have collected the same."""
    _not_run.update(Counter(getattr(node, "workeroutput", {}).get("not_run", {})) - _not_run)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List loudly what could not run."""
    if not _not_run:
        return
    terminalreporter.section(
        "NOT RUN: this machine lacks what these tests need", red=True, bold=True
    )
    for name, count in sorted(_not_run.items()):
        terminalreporter.line(f"{count:>4} need {name}: {NEEDS[name][0]}", red=True)
