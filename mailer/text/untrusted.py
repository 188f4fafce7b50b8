"""Makes strangers' text safe to show: it cannot affect a terminal, a log, a database or the text beside it.

Removes or replaces characters only. Never judges what a text says, and never imports anything of the mailer.
"""

import re
from typing import Final

CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""C0, C1, DEL, line separators, and lone halves of UTF-16, which no encoding can write."""

_BIDI_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")

LONGEST_REPLY_KEPT: Final = 500
"""How many characters of a reply the ledger keeps."""

_PART: Final = r"[^\s<>()\[\]\"',;:@]"
# It begins at the start of a word: starting at every letter, a long word would take minutes.
_ADDRESS: Final = re.compile(rf"(?<!{_PART}){_PART}+@(?:{_PART}|@)+")
_LONGEST_READ: Final = 10 * LONGEST_REPLY_KEPT
"""How many characters are searched for addresses; removing them makes a text shorter."""


def without_bidi_controls(text: str) -> str:
    """Remove embeddings, overrides and isolates (UAX #9), which reverse the text beside them.

    The marks LRM, RLM and ALM stay: Arabic and Hebrew need them beside numbers and punctuation. Each acts
    like one invisible letter, so it moves at most the signs beside it, never letters.
    """
    # Nearly all texts are printable, which is a quick test.
    return text if text.isprintable() else _BIDI_CONTROLS.sub("", text)


def printable_line(text: str, longest: int | None = None) -> str:
    """Make one line of `text`: control characters and runs of white space become one space each.

    Args:
        text: by a stranger.
        longest: how many characters are kept; None keeps all.
    """
    line = " ".join(without_controls(text).split())
    return line if longest is None else line[:longest]


def without_controls(text: str, *, keep: str = "") -> str:
    """Replace each control character by a space, and remove bidi controls.

    Args:
        text: by a stranger.
        keep: control characters that stay as they are, such as line ends.
    """
    if text.isprintable():
        return text
    shown = CONTROLS.sub(lambda control: control[0] if control[0] in keep else " ", text)
    return _BIDI_CONTROLS.sub("", shown)


def redact(text: str) -> str:
    """Shorten `text` for the ledger, and remove addresses and control characters.

    PostgreSQL cannot store NUL, and a terminal would obey the others.
    """
    return _ADDRESS.sub("***", printable_line(text, _LONGEST_READ))[:LONGEST_REPLY_KEPT]
