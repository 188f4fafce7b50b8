"""Prints the table of the fault matrix: what each test noted, added up for each row and engine.

It comes in Markdown after a run with FAULTS set, also after one that Ctrl-C has ended.
"""

import os
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailer.db import Database
from mailer.tokens import Keys
from tests.faults import cluster
from tests.faults.cluster import Cluster
from tests.faults.relays import FULL
from tests.faults.run import ROW, Run

SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
"""Marks of what is tested on one engine only."""

_COLUMNS = ("readers", "kills", "lost", "doubled", "in_doubt", "unexpected")


@pytest.fixture
def run_on(
    keys: Keys, fast_folder: Path, record_property: Callable[[str, object], None]
) -> Callable[[Database], Run]:
    """Make the run of this test on a database of its own making."""
    return lambda database: Run(database, keys, fast_folder, record_property)


@pytest.fixture
def run(run_on: Callable[[Database], Run], database: Database) -> Run:
    """A run on each engine in turn, or on one by `SQLITE` or `POSTGRESQL`."""
    return run_on(database)


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with cluster.cluster(port) as found:
        yield found


@pytest.fixture
def own_cluster(_cluster: Cluster) -> Iterator[Cluster]:
    """A PostgreSQL cluster that this test may crash; it runs again for the next one."""
    yield _cluster
    _cluster.start_again()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if not os.environ.get("FAULTS"):
        return
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for report, line in _noted(terminalreporter):
        total = sums[line["row"], line["engine"]]
        total["tests"] += 1
        total["red"] += report.failed
        total["seconds"] += report.duration
        for column in _COLUMNS:
            total[column] += line.get(column, 0)
    head = " | ".join(_COLUMNS).replace("_", " ")
    terminalreporter.section("fault matrix")
    terminalreporter.line(f"| row | engine | tests | {head} | seconds |")
    terminalreporter.line("|---" * (len(_COLUMNS) + 4) + "|")
    for (row, engine), total in sorted(sums.items(), key=_by_number):
        tests = f"{total['tests']:.0f}" + (f" ({total['red']:.0f} red)" if total["red"] else "")
        figures = " | ".join(f"{total[column]:,.0f}" for column in _COLUMNS)
        terminalreporter.line(
            f"| {row} | {engine} | {tests} | {figures} | {total['seconds']:.0f} |"
        )


def _noted(terminalreporter: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    # Properties travel with the reports, so that the table is whole where xdist runs the tests.
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties if report.when == "call" else ():
                if name == ROW:
                    yield report, value


def _by_number(line: tuple[tuple[str, str], object]) -> tuple[str, int, str]:
    # S10 comes after S2.
    (row, engine), _ = line
    letters = row.rstrip("0123456789")
    return letters, int(row.removeprefix(letters) or 0), engine


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known of tests whose PostgreSQL share is for `make faults` alone."""
    config.addinivalue_line(
        "markers", "long: takes ten seconds and more; on PostgreSQL only with FAULTS=full"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make faults` what would make each run of all tests longer by minutes."""
    later = [
        item
        for item in items
        if not FULL and item.get_closest_marker("long") and "postgresql" in item.name
    ]
    if later:
        items[:] = [item for item in items if item not in later]
        config.hook.pytest_deselected(items=later)
