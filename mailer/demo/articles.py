"""The articles of the sample newsroom, all invented: a paper, a town and people that do not exist.

Only what an article says is here and in stories.toml; when it is published and how it is served is
the newsroom's.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

PAPER = "The Harbour Gazette"
TOWN = "Merrowhaven"


@dataclass(frozen=True)
class SampleArticle:
    """One article as its author wrote it; `scene` names the picture that goes with it, if any."""

    slug: str
    title: str
    author: str
    categories: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    scene: str | None


def load_articles() -> tuple[SampleArticle, ...]:
    """The written articles, oldest first."""
    text = Path(__file__).with_name("stories.toml").read_text(encoding="utf-8")
    return tuple(
        SampleArticle(
            slug=entry["slug"],
            title=entry["title"],
            author=entry["author"],
            categories=tuple(entry["categories"]),
            summary=_one_line(entry["summary"]),
            paragraphs=tuple(_one_line(part) for part in entry["text"].split("\n\n")),
            scene=entry.get("scene"),
        )
        for entry in tomllib.loads(text)["story"]
    )


def harbour_log(number: int, at: datetime) -> SampleArticle:
    """A short notice from the pier, so that the feed of a demo that runs for hours keeps growing.

    The same number gives the same notice; `at` is only named in its title.
    """
    seed = hashlib.sha256(f"harbour log {number}".encode()).digest()
    boats = ("Marigold", "Second Wind", "Tern", "Aunt Josephine", "Halcyon", "Little Bear")
    winds = ("light from the west", "fresh from the south-west", "none to speak of", "brisk, north")
    arriving, leaving = boats[seed[0] % 6], boats[(seed[0] + 1 + seed[1] % 5) % 6]
    berth = f"The {arriving} is at berth {seed[6] % 9 + 1}."
    return SampleArticle(
        slug=f"harbour-log-{number}",
        title=f"Harbour log {number}, {at:%H:%M}: {arriving} in, {leaving} out",
        author="The harbour office",
        categories=("Harbour",),
        summary=(
            f"Wind {winds[seed[2] % 4]}, water {7 + seed[3] % 5}.{seed[4] % 10} °C, "
            f"{seed[5] % 40 + 3} crates of herring landed."
        ),
        paragraphs=(f"{berth} The {leaving} is expected back before the tide turns.",),
        scene=("boats", "pier", "ferry", None)[seed[7] % 4],
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
