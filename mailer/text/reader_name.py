"""Decides whether a mail may show the name that a reader gave, and how.

A person who signs somebody else up may type anything as the name, and the greeting stands in a mail under
the newsletter's title. Lies cannot be recognised, so a name is short, and nothing in it can be clicked or
dialled.
"""

import unicodedata
from typing import Final

LONGEST: Final = 40
"""In characters."""

_LONGEST_READ: Final = 400
_PUNCTUATION: Final = frozenset("'’‘`´ʼ՚׳״-‐‑–.,·・()&")
"""What names hold besides letters and blanks: "O’Neill", "Anne-Marie", "J. R. Smith", "Anna & Ilya"."""

_JOINERS: Final = "\u200c\u200d"
"""Persian and Indian languages need them."""


def reader_name(text: str | None) -> str | None:
    """Clean the name in `text`, on one line; None if a mail may not show it.

    Blanks at its ends and invisible characters (such as bidi controls) are removed. A text with digits, line
    ends, characters such as @, or a dot that makes a host of two words, is not a name.

    Args:
        text: by a stranger.
    """
    if text is None or len(text) > _LONGEST_READ:
        return None
    words = text.replace("-", " ").replace("'", " ").split(" ")
    if (
        len(text) <= LONGEST
        and all(map(str.isalpha, words))
        and unicodedata.is_normalized("NFKC", text)
    ):
        # It has only words of letters, as almost all names do: what follows would change nothing.
        return text
    visible = (
        " " if letter == "\t" or unicodedata.category(letter) == "Zs" else letter
        for letter in text.strip()
        if letter in _JOINERS or unicodedata.category(letter) != "Cf"
    )
    words = "".join(visible).split(" ")
    name = unicodedata.normalize("NFC", " ".join(word for word in words if word))
    # Programs treat these as the same: letters in circles, wide letters, a one-dot leader.
    folded = unicodedata.normalize("NFKC", name.translate(dict.fromkeys(map(ord, _JOINERS))))
    if not 0 < len(name) <= LONGEST or _makes_host(folded):
        return None
    allowed = {*_PUNCTUATION, *_JOINERS, " "}
    if not all(letter in allowed or _is_letter(letter) for letter in name + folded):
        return None
    return name if any(letter.isalpha() for letter in name) else None


def _is_letter(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LM"


def _makes_host(text: str) -> bool:
    """Tell whether a dot is followed by a word. No top-level domain has only one letter."""
    return any(
        dot == "." and _is_letter(first) and _is_letter(second)
        for dot, first, second in zip(text, text[1:], text[2:], strict=False)
    )
