"""docs/bounces.md lists every reason, with its kind and whether it counts."""

import re
from pathlib import Path

from mailer.bounces.reasons import AGAINST_READER, BounceKind, Reason

TEXT = (Path(__file__).parents[3] / "docs" / "bounces.md").read_text()
SECTIONS = {
    "Hard": BounceKind.HARD,
    "Soft": BounceKind.SOFT,
    "Complaints": BounceKind.COMPLAINT,
    "Automatic replies": BounceKind.AUTOREPLY,
    "Nothing that failed": BounceKind.NONE,
}


def section(heading: str) -> str:
    return TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_every_reason_is_listed_under_its_kind() -> None:
    listed = {
        kind: set(re.findall(r"^\| `([a-z_]+)` \|", section(heading), re.MULTILINE))
        for heading, kind in SECTIONS.items()
    }
    assert listed == {
        kind: {reason.value for reason in Reason if reason.kind is kind} for kind in BounceKind
    }


def test_what_counts_against_a_reader_is_marked() -> None:
    rows = section("Hard") + section("Soft")
    marked = set(re.findall(r"^\| `([a-z_]+)` \|.*\| yes \|$", rows, re.MULTILINE))
    bounces = (BounceKind.HARD, BounceKind.SOFT)
    assert marked == {reason.value for reason in AGAINST_READER if reason.kind in bounces}
