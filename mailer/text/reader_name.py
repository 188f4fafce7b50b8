"""What readers call themselves: decides whether a mail may show it, and how.

Whoever signs somebody else up may type anything there, and a greeting stands in a mail under the
newsletter's title. Letters cannot be told from lies, so what is kept is short, and nothing in it can be
pressed or dialled.
"""

import unicodedata
from typing import Final

LONGEST: Final = 40
"""In characters."""

_LONGEST_READ: Final = 400
_SIGNS: Final = frozenset("'’‘`´ʼ՚׳״-‐‑–.,·・()&")
"""What stands in names beside letters and blanks: "O’Neill", "Anne-Marie", "J. R. Smith", "Anna & Ilya"."""

_JOINERS: Final = "\u200c\u200d"
"""Persian and the languages of India write with them."""


def reader_name(text: str | None) -> str | None:
    """The name in `text` on one line; None if there is none that a mail may show.

    Blanks at its ends, and signs that nobody sees (bidi controls among them), are left out. Digits, line ends
    and any sign that an address needs make it no name, and so does a dot that makes a host of two words.

    Args:
        text: by a stranger.
    """
    if text is None or len(text) > _LONGEST_READ:
        return None
    seen = "".join(
        one for one in text.strip() if one in _JOINERS or unicodedata.category(one) != "Cf"
    )
    blanks = "".join(" " if _is_blank(one) else one for one in seen)
    name = unicodedata.normalize("NFC", " ".join(part for part in blanks.split(" ") if part))
    # What programs take for the same: letters in circles, wide letters, a leader of one dot.
    folded = unicodedata.normalize("NFKC", name.translate(dict.fromkeys(map(ord, _JOINERS))))
    if not 0 < len(name) <= LONGEST or _makes_host(folded):
        return None
    if not all(_stands_in_names(one) for one in name + folded):
        return None
    return name if any(one.isalpha() for one in name) else None


def _is_blank(one: str) -> bool:
    return one == "\t" or unicodedata.category(one) == "Zs"


def _stands_in_names(one: str) -> bool:
    return one in _SIGNS or one in _JOINERS or one == " " or _is_letter(one)


def _is_letter(one: str) -> bool:
    return unicodedata.category(one)[0] in "LM"


def _makes_host(text: str) -> bool:
    """Whether a dot has a word right behind it. No country and no other domain has one letter only."""
    return any(
        dot == "." and _is_letter(first) and _is_letter(second)
        for dot, first, second in zip(text, text[1:], text[2:], strict=False)
    )
