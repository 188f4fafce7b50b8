"""The table of the fault matrix: what each test noted of its digest, added up for each row and engine.

It is printed in Markdown after a run with FAULTS set, also after one that Ctrl-C has ended.
"""

import os
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailer.db import Database
from tests.faults import cluster
from tests.faults.cluster import Cluster
from tests.faults.judge import Judgement
from tests.faults.relays import FULL

Note = Callable[..., None]

_PROPERTY = "row of the fault matrix"
_COLUMNS = ("readers", "kills", "lost", "doubled", "in_doubt", "unexpected")


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Notes one digest for the table: `note("K5", database, judgement, kills=20)`.

    Without a judgement it is given the columns themselves: `note("S2", database, readers=60, doubled=1)`.
    Call it before the assertions, so that a red row has its figures too.
    """

    def write(
        row: str, database: Database, judgement: Judgement | None = None, **figures: int
    ) -> None:
        if judgement is not None:
            figures |= {
                "readers": judgement.counts.total,
                "lost": len(judgement.lost),
                "doubled": judgement.doubles,
                "in_doubt": judgement.counts.in_doubt,
                "unexpected": len(judgement.strangers),
            }
        engine = "SQLite" if database.is_sqlite else "PostgreSQL"
        record_property(_PROPERTY, {"row": row, "engine": engine, **figures})

    return write


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
                if name == _PROPERTY:
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
