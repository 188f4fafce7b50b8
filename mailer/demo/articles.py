"""Holds the articles of the sample newsroom: an invented newspaper, town and people.

Only what an article says is here and in stories.toml: when it is published and how it is served is
up to the newsroom.
"""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NEWSPAPER = "The Harbour Gazette"
TOWN = "Merrowhaven"
NOT_YET = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class SampleArticle:
    """One article as its author wrote it.

    Attributes:
        picture: the name of a file in static/pictures, without its ending, or None.
        published: when it appeared (aware UTC); `NOT_YET` before that.
    """

    slug: str
    title: str
    author: str
    categories: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    picture: str | None
    published: datetime = NOT_YET


def load_articles() -> list[SampleArticle]:
    """Return the written articles, oldest first."""
    text = Path(__file__).with_name("stories.toml").read_text(encoding="utf-8")
    return [
        SampleArticle(
            slug=entry["slug"],
            title=entry["title"],
            author=entry["author"],
            categories=tuple(entry["categories"]),
            summary=_one_line(entry["summary"]),
            paragraphs=tuple(_one_line(part) for part in entry["text"].split("\n\n")),
            picture=entry.get("picture"),
        )
        for entry in tomllib.loads(text)["story"]
    ]


def harbour_log(number: int, at: datetime) -> SampleArticle:
    """Make a short notice from the pier, so that the feed of a demo that runs for hours grows."""
    boats = ("Marigold", "Second Wind", "Tern", "Aunt Josephine", "Halcyon", "Little Bear")
    winds = ("light from the west", "fresh from the south-west", "brisk, north", "calm")
    arriving, leaving = boats[number % 6], boats[(number + 2) % 6]
    berth = f"The {arriving} is at berth {number % 9 + 1}."
    return SampleArticle(
        slug=f"harbour-log-{number}",
        title=f"Harbour log {number}, {at:%H:%M}: {arriving} in, {leaving} out",
        author="The harbour office",
        categories=("Harbour",),
        summary=f"Wind {winds[number % 4]}, {number % 37 + 3} crates of herring landed.",
        paragraphs=(f"{berth} The {leaving} is expected back before the tide turns.",),
        picture=("boats", "pier", "ferry", None)[number % 4],
        published=at,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
