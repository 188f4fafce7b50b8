"""Tables: what a cell shows, one line a row, and no matter how many rows."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from rich import cells

from mailer.cli import main
from mailer.cli.output import (
    message,
    print_json,
    print_json_and_list,
    print_table,
    print_text,
)
from mailer.text.english import coming_time, moment


def test_each_row_is_a_line_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    when = datetime(2026, 11, 24, 6, tzinfo=UTC)
    print_table(
        ("title", "seen", "late"),
        [("[Bold] 新聞", when, True), ("two\nlines \x1b[31m", None, False)],
    )
    assert capsys.readouterr().out.splitlines() == [
        "title            seen                  late",
        "[Bold] 新聞      2026-11-24T06:00:00Z  yes",
        "two lines  [31m                        no",
    ]


CONTROLS = "\0\a\x1b\x7f\x9b\u202e"


def test_no_control_character_reaches_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    message(f"told:\n{CONTROLS}")
    print_text(f"told:\n{CONTROLS}")
    print_json({CONTROLS: CONTROLS})
    print_table(("heading",), [(CONTROLS,)])
    assert main((f"verb{CONTROLS}",)) == 2
    out, err = capsys.readouterr()
    assert (out + err).replace("\n", "").isprintable()
    assert json.loads(out[out.index("{") : out.index("}") + 1]) == {CONTROLS: CONTROLS}


def test_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("", ""), [("key", "x" * 20_000)])
    assert capsys.readouterr().out == f"key  {'x' * 20_000}\n"


@pytest.mark.parametrize("headings", [("id", "address"), ("", "")])
def test_nothing_to_print(headings: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    print_table(headings, [])
    assert capsys.readouterr().out.split() == [*filter(None, headings)]


def test_long_tables_take_no_longer_for_each_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, cell_len = 0, cells.cell_len

    def counted(text: str) -> int:
        nonlocal measured
        measured += 1
        return cell_len(text)

    def measurements(number: int) -> int:
        before = measured
        print_table(
            ("id", "address", "reply"),
            [(one, f"reader{one}@example.com", None) for one in range(number)],
        )
        assert capsys.readouterr().out.count("\n") == number + 1
        return measured - before

    monkeypatch.setattr(cells, "cell_len", counted)
    # If each row were compared with all it would be a hundred times as many.
    assert 0 < measurements(2_000) <= 10 * measurements(200)


@pytest.mark.parametrize(
    ("utc", "zone", "told"),
    [
        ("2026-11-28T06:00", "Europe/Paris", "Sat 2026-11-28 07:00 Europe/Paris (06:00 UTC)"),
        ("2026-11-28T06:00", "UTC", "Sat 2026-11-28 06:00 UTC"),
        (
            "2026-11-27T21:30",
            "Asia/Yerevan",
            "Sat 2026-11-28 01:30 Asia/Yerevan (2026-11-27 21:30 UTC)",
        ),
    ],
)
def test_a_moment_is_told_by_the_clock_on_the_wall(utc: str, zone: str, told: str) -> None:
    local = datetime.fromisoformat(f"{utc}Z").astimezone(ZoneInfo(zone))
    assert moment(local, zone) == told


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ("2026-11-29T00:00+01:00", "today 07:00 Europe/Paris (Sun 2026-11-29)"),
        ("2026-11-28T23:30+00:00", "today 07:00 Europe/Paris (Sun 2026-11-29)"),
        ("2026-11-28T00:00+01:00", "tomorrow 07:00 Europe/Paris (Sun 2026-11-29)"),
        ("2026-11-27T23:59+01:00", "Sun 2026-11-29 07:00 Europe/Paris"),
        ("2026-11-30T00:00+01:00", "Sun 2026-11-29 07:00 Europe/Paris"),
    ],
)
def test_a_coming_time_as_people_speak_of_it(now: str, told: str) -> None:
    local = datetime(2026, 11, 29, 7, tzinfo=ZoneInfo("Europe/Paris"))
    assert coming_time(local, "Europe/Paris", now=datetime.fromisoformat(now)) == told


@pytest.mark.parametrize("items", [[], [{"a": 1}], [{"a": "é\x9b31m"}, {"b": None}]])
def test_a_long_list_in_json_is_printed_item_by_item(
    capsys: pytest.CaptureFixture[str], items: list[object]
) -> None:
    print_json_and_list({"rows": 2, "more": {"x": [1]}}, "rejected", iter(items))
    out = capsys.readouterr().out
    assert json.loads(out) == {"rows": 2, "more": {"x": [1]}, "rejected": items}
    assert "\x9b" not in out
