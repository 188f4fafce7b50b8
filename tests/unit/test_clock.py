"""Instants are aware and in UTC, and one module alone asks what time it is."""

import ast
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mailer.clock import Times, format_instant, parse_instant, utc_now, zone
from mailer.errors import Refused

PACKAGE = Path(__file__).resolve().parents[2] / "mailer"
NOW_CALLS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "time_ns"), ("time", "gmtime"), ("time", "localtime"),
}  # fmt: skip


def clock_readings(tree: ast.AST) -> list[int]:
    """The lines on which `tree` names something that reads the wall clock."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name | ast.Attribute)
        and (getattr(node.value, "id", getattr(node.value, "attr", "")), node.attr) in NOW_CALLS
    ]


def test_only_the_clock_reads_the_clock() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        # The demo is a user of the mailer, not a part of it.
        if "demo" not in path.parts and clock_readings(ast.parse(path.read_text()))
    }
    assert found == {"clock.py"}


@pytest.mark.parametrize("code", ["datetime.now(UTC)", "datetime.datetime.utcnow()", "time.time()"])
def test_reading_the_clock_is_noticed(code: str) -> None:
    assert clock_readings(ast.parse(code)) == [1]


def test_the_wall_clock_is_aware() -> None:
    assert utc_now().utcoffset() == timedelta()
    assert Times().monotonic() <= Times().monotonic()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24T06:00Z", datetime(2026, 11, 24, 6, tzinfo=UTC)),
        ("2026-11-24T06:00", datetime(2026, 11, 24, 6, tzinfo=UTC)),
        (" 2026-11-24 10:00+04:00 ", datetime(2026, 11, 24, 6, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read(text: str, instant: datetime) -> None:
    found = parse_instant(text)
    assert (found, found.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13-01", "24.11.2026", "0001-01-01T00:00+14:00", "0001-01-02", "9999-12-31"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ISO 8601"):
        parse_instant(text)


def test_an_instant_is_written_in_utc() -> None:
    yerevan = datetime(2026, 11, 24, 10, 0, 0, 999, tzinfo=timezone(timedelta(hours=4)))
    assert format_instant(yerevan) == "2026-11-24T06:00:00Z"


def test_a_zone_is_found() -> None:
    assert str(zone("Asia/Yerevan")) == "Asia/Yerevan"


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "../etc/passwd", "/etc/passwd", "CEST\0", "Europe"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="IANA"):
        zone(name)
