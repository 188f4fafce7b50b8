"""Finds phrases in text that strangers wrote, whatever its case, accents, quotes and line breaks.

Never uses a pattern: a phrase is looked for as it is, and an asterisk stands for a few words between.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailer.bounces.reading.addresses import ADDRESS

_LONGEST_GAP: Final = 80
_MOST_BEGINNINGS: Final = 20
_DROPPED: Final = dict.fromkeys(map(ord, "'’‘`´\"“”„«»*_|\x00"))
_SPACED: Final = str.maketrans("<>()[]{}\t\n", "          ")
_FOLDED: Final = str.maketrans(
    {"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe"}
)
"""Letters that Unicode takes for no base letter with an accent."""
_PREPARED: Final = {**_DROPPED, **_SPACED}


def folded(text: str, longest: int = 20_000) -> str:
    """Prepare a text for the search: lower case, no accents and quotes, "@" for each address."""
    text = ADDRESS.sub("@", text[:longest]).translate(_PREPARED).lower()
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in apart if not unicodedata.combining(letter))
        text = text.translate(_FOLDED)
    text = " ".join(text.split())
    return f" {text.replace(' :', ':').replace(' .', '.').replace(' ,', ',')} "


@dataclass(frozen=True)
class Phrases:
    """Some phrases, each as the pieces between its asterisks."""

    every: tuple[tuple[str, ...], ...]

    def found_in(self, text: str) -> bool:
        """Tell whether one of them is in a folded text."""
        return any(_has(text, pieces) for pieces in self.every)


def phrases(lines: str) -> Phrases:
    """Make phrases of lines; a blank at a phrase's begin or end is written as an underscore."""
    return Phrases(tuple(_pieces(lines.split("\n"))))


def _pieces(lines: Iterable[str]) -> Iterable[tuple[str, ...]]:
    for line in lines:
        if line.strip():
            pieces = [_piece(piece) for piece in line.strip().split("*")]
            yield tuple(piece for piece in pieces if piece.strip())


def _piece(piece: str) -> str:
    begin = " " if piece.startswith("_") else ""
    end = " " if piece.endswith("_") else ""
    return begin + folded(piece.strip("_")).strip() + end


def _has(text: str, pieces: tuple[str, ...]) -> bool:
    at = -1
    for _ in range(_MOST_BEGINNINGS):
        at = text.find(pieces[0], at + 1)
        if at < 0:
            return False
        if len(pieces) == 1:
            return True
        behind = at + len(pieces[0])
        for piece in pieces[1:]:
            found = text.find(piece, behind, behind + _LONGEST_GAP + len(piece))
            if found < 0:
                break
            behind = found + len(piece)
        else:
            return True
    return False
