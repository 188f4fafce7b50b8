"""Scans markup as plain text: takes out marked sections, and reads the attributes of elements. Pure.

Always in one pass: an expression that looks for an end anew from each start takes time that grows with the
square of a text made for it. Never makes markup safe.
"""

import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

PAGE: Final = re.compile(r"<(?:!DOCTYPE\s+html|html|head|body)\b", re.IGNORECASE)
"""An element that only a web page has."""

_LONGEST_TAG: Final = 3000
_ATTRIBUTE = re.compile(r"""\s*/?([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?""")


def without(text: str, begin: str, end: str) -> str:
    """Remove what is between `begin` and `end`, both included; a section without an end takes the rest."""
    kept, at = [], 0
    while (start := text.find(begin, at)) >= 0:
        kept.append(text[at:start])
        close = text.find(end, start)
        if close < 0:
            return "".join(kept)
        at = close + len(end)
    return "".join([*kept, text[at:]]) if kept else text


def elements(markup: str, begin: re.Pattern[str], *, most: int) -> Iterator[dict[str, str]]:
    """Yield the attributes of the first `most` elements that `begin` finds outside comments.

    Args:
        begin: matches the start of the tag, up to the element's name.
    """
    visible = without(markup, "<!--", "-->")
    for start in islice(begin.finditer(visible), most):
        attributes: dict[str, str] = {}
        at, end = start.end(), start.end() + _LONGEST_TAG
        while match := _ATTRIBUTE.match(visible, at, end):
            value = match[2] or match[3] or match[4] or ""
            attributes.setdefault(match[1].lower(), html.unescape(value).strip())
            at = match.end()
        yield attributes
