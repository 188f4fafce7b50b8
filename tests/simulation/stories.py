"""What the two newspapers write: invented headlines in three languages, each told once."""

from collections.abc import Iterator, Mapping
from pathlib import Path

COURIER = "The Harbour Courier"
ARAKS_HY, ARAKS_RU = "Արաքս օրաթերթ", "Газета «Аракс»"

FEEDS = ("news", "culture", "hy", "ru", "common")
_FOLDER = Path(__file__).parents[1] / "data" / "stories"


def stories() -> Mapping[str, Iterator[tuple[str, str]]]:
    """Titles and summaries by feed, each told once."""
    return {feed: _read(_FOLDER / f"{feed}.txt") for feed in FEEDS}


def _read(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        title, _, summary = line.partition(" | ")
        yield title, summary


AUTHORS = {
    "news": ("Ines Calloway", "Tom Penrose", ""),
    "culture": ("Ada Quill", "Ines Calloway"),
    "hy": ("Անի Հարությունյան", "", "Դավիթ Մելիքյան"),
    "ru": ("Анна Саркисова", "Павел Мирзоян", ""),
    "common": ("",),
}
"""Who writes for a feed, in turns; nobody is named where it is empty."""

INTRO = (_FOLDER / "introduction.md").read_text()
LETTER = (_FOLDER / "letter.md").read_text()
"""What staff write above a digest, and in a letter."""
