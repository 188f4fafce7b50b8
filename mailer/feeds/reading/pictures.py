"""Finds the picture of an article in its markup or its page, and recognises emoji images. Pure.

Reads only the first elements of the markup, as text: that costs a fraction of a parser.
"""

import re
from typing import Final

from mailer.feeds.canonical import absolute_url
from mailer.feeds.reading.markup import elements

_MOST_IMAGES: Final = 20
_MOST_PROPERTIES: Final = 500

# Scripts that load pictures late keep the real address in one of these.
_SOURCES: Final = ("src", "data-src", "data-lazy-src", "data-original")
_EMOJI_CLASSES: Final = frozenset({"wp-smiley", "emoji", "smiley", "smilies"})
_LONGEST_EMOJI: Final = 20
_FIRST_SYMBOL: Final = 0x203C
"""The first character that is drawn as an emoji, apart from the copyright and trade mark signs."""
_TINY: Final = frozenset({"0", "1", "2", "3"})

_NO_PICTURE = re.compile(
    r"^https?://(?:[\w-]+\.)*(?:gravatar\.com/avatar/|pixel\.wp\.com/|stats\.wordpress\.com/"
    r"|feeds\.wordpress\.com/|feeds\.feedburner\.com/~|(?:da\.)?feedsportal\.com/|medium\.com/_/stat)"
)
_IMAGE = re.compile(r"<img(?=[\s/>])", re.IGNORECASE)
_PROPERTY = re.compile(r"<meta(?=[\s/>])", re.IGNORECASE)
_OG_NAMES: Final = ("og:image:secure_url", "og:image", "og:image:url", "twitter:image")


def first_image(markup: str, base: str | None) -> str | None:
    """Return the address of the first image that is neither an emoji nor a tracking pixel.

    Args:
        base: what a relative address is resolved against.
    """
    for attributes in elements(markup, _IMAGE, most=_MOST_IMAGES):
        sizes = {attributes.get(name, "").removesuffix("px") for name in ("width", "height")}
        if is_emoji(attributes) or not _TINY.isdisjoint(sizes):
            continue
        for name in _SOURCES:
            address = absolute_url(attributes.get(name, ""), base)
            if address and not is_no_picture(address):
                return address
    return None


def is_no_picture(address: str) -> bool:
    """Tell whether an image is an author's portrait or a tracking pixel."""
    return _NO_PICTURE.search(address) is not None


def page_image(page: str, base: str) -> str | None:
    """Return the picture that a web page names for previews of itself (the Open Graph protocol).

    Args:
        page: the page's HTML.
        base: where it came from.
    """
    images: dict[str, str] = {}
    for attributes in elements(page, _PROPERTY, most=_MOST_PROPERTIES):
        name = (attributes.get("property") or attributes.get("name") or "").lower()
        address = absolute_url(attributes.get("content", ""), base)
        if name in _OG_NAMES and address is not None:
            images.setdefault(name, address)
    return next((images[name] for name in _OG_NAMES if name in images), None)


def is_emoji(attributes: dict[str, str]) -> bool:
    """Tell whether an image stands for the characters in its `alt`.

    Publishing systems mark such images with a class; others only put one emoji into `alt`.
    """
    if not _EMOJI_CLASSES.isdisjoint(attributes.get("class", "").split()):
        return True
    letters = attributes.get("alt", "").strip()
    return (
        0 < len(letters) <= _LONGEST_EMOJI
        and any(ord(letter) >= _FIRST_SYMBOL for letter in letters)
        and not any(letter.isalnum() or letter.isspace() for letter in letters)
    )
