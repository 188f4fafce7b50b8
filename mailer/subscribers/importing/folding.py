"""Folds the names of columns and statuses, so that they are recognised however they are written.

Pure. Never makes one of two words that differ by more than case and punctuation.
"""

import unicodedata
from typing import Final

LONGEST: Final = 200
"""How many characters of a word are looked at."""

_BLANKS: Final = str.maketrans(
    dict.fromkeys("_-‐‑–./:*\"'’`()[]?!#\ufeff\u200b\u2060", " ") | {"ё": "е"}
)


def fold(text: str) -> str:
    """Return `text` in lower case, with single blanks instead of punctuation: "E-Mail" becomes "e mail"."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    return " ".join(folded.translate(_BLANKS).split())
