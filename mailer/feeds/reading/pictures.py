"""Finds the picture of a piece in its markup, and letters that were put there as pictures. Pure.

Reads markup as text, at most so many elements of it: that is a fraction of the cost of a parser, and
whatever comes out is checked as an address. Nothing here makes markup safe.
"""

import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.cut import without

_MOST_LOOKED_AT: Final = 20
_LONGEST_TAG: Final = 3000

# Scripts that load pictures late leave the real address in one of these.
_SOURCES: Final = ("src", "data-src", "data-lazy-src", "data-original")
_EMOJI_CLASSES: Final = frozenset({"wp-smiley", "emoji", "smiley", "smilies"})
_LONGEST_EMOJI: Final = 20
_FIRST_SYMBOL: Final = 0x203C
"""The first letter that is drawn as an emoji, but for the signs of copyright and trade mark."""
_TINY: Final = frozenset({"0", "1", "2", "3"})

_NO_PICTURE = re.compile(
    r"^https?://(?:[\w-]+\.)*(?:gravatar\.com/avatar/|pixel\.wp\.com/|stats\.wordpress\.com/"
    r"|feeds\.wordpress\.com/|feeds\.feedburner\.com/~|(?:da\.)?feedsportal\.com/|medium\.com/_/stat)"
)
_IMAGE = re.compile(r"<img(?=[\s/>])", re.IGNORECASE)
_PROPERTY = re.compile(r"<meta(?=[\s/>])", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\s*/?([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?""")
_OG_NAMES: Final = ("og:image:secure_url", "og:image", "og:image:url", "twitter:image")


def first_image(markup: str, base: str | None) -> str | None:
    """The address of the first image in `markup` that is neither a letter nor a counter.

    Args:
        base: what a relative address is resolved against.
    """
    for attributes in elements(markup, _IMAGE):
        if is_emoji(attributes) or _TINY.intersection(
            attributes.get(name, "").removesuffix("px") for name in ("width", "height")
        ):
            continue
        for name in _SOURCES:
            found = absolute_url(attributes.get(name, ""), base)
            if found and not is_no_picture(found):
                return found
    return None


def is_no_picture(address: str) -> bool:
    """Whether an image is the portrait of an author, or there to count who looks at it."""
    return _NO_PICTURE.search(address) is not None


def page_image(page: str, base: str) -> str | None:
    """The picture by which a web page wants to be shown elsewhere (the Open Graph protocol).

    Args:
        page: the page's HTML.
        base: where it came from.
    """
    found: dict[str, str] = {}
    for attributes in elements(page, _PROPERTY, most=500):
        name = (attributes.get("property") or attributes.get("name") or "").lower()
        address = absolute_url(attributes.get("content", ""), base)
        if name in _OG_NAMES and address is not None:
            found.setdefault(name, address)
    return next((found[name] for name in _OG_NAMES if name in found), None)


def is_emoji(attributes: dict[str, str]) -> bool:
    """Whether an image stands for the letters in its `alt`.

    Publishing systems mark such images by a class; others only give one emoji as the text.
    """
    if not _EMOJI_CLASSES.isdisjoint(attributes.get("class", "").split()):
        return True
    letters = attributes.get("alt", "").strip()
    return (
        0 < len(letters) <= _LONGEST_EMOJI
        and any(ord(letter) >= _FIRST_SYMBOL for letter in letters)
        and not any(letter.isalnum() or letter.isspace() for letter in letters)
    )


def elements(
    markup: str, begin: re.Pattern[str], *, most: int = _MOST_LOOKED_AT
) -> Iterator[dict[str, str]]:
    """The attributes of the first elements that `begin` finds outside comments.

    Args:
        begin: the element's name in its tag.
        most: how many elements are read.
    """
    shown = without(markup, "<!--", "-->")
    for start in islice(begin.finditer(shown), most):
        attributes: dict[str, str] = {}
        at, end = start.end(), start.end() + _LONGEST_TAG
        while match := _ATTRIBUTE.match(shown, at, end):
            value = match[2] or match[3] or match[4] or ""
            attributes.setdefault(match[1].lower(), html.unescape(value).strip())
            at = match.end()
        yield attributes
