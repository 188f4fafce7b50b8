"""Which pictures an entry of RSS or Atom names: Media RSS, enclosures, and an image of its own. Pure.

Takes an entry as the feed library gives it. What comes out is text that is still to be checked.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

_SMALL: Final = 200
"""Pictures less wide, in pixels, are shown only where there is no other one."""
_LONGEST_WIDTH: Final = 6
_IMAGE_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)(?:\?|$)", re.IGNORECASE)


def pictures_of(item: Any) -> Iterator[str]:
    """Addresses of pictures, best first; small ones are left to `thumbnails_of`."""
    media = [one for one in item.get("media_content", ()) if _is_picture(one, "url")]
    if media and 0 < _width(media[0]) < _SMALL:
        # Some give one picture in several widths, the smallest first.
        media.sort(key=_width, reverse=True)
    for one in media:
        yield str(one.get("url") or "")
    for link in item.get("links", ()):
        if link.get("rel") == "enclosure" and _is_picture(link, "href"):
            yield str(link.get("href") or "")
    for one in item.get("media_thumbnail", ()):
        if not 0 < _width(one) < _SMALL:
            yield str(one.get("url") or "")
    picture = item.get("image")
    if picture and hasattr(picture, "get"):
        yield str(picture.get("href") or "")


def thumbnails_of(item: Any) -> Iterator[str]:
    """Addresses of pictures for where there is no other one."""
    for one in item.get("media_thumbnail", ()):
        if 0 < _width(one) < _SMALL:
            yield str(one.get("url") or "")
    # Where the library puts the address of a picture that an item of RSS has of its own.
    if _IMAGE_FILE.search(str(item.get("href") or "")):
        yield str(item["href"])


def _is_picture(one: Any, address: str) -> bool:
    kind, medium = str(one.get("type") or ""), one.get("medium")
    return (
        medium == "image"
        or kind.startswith("image/")
        or (not kind and not medium and bool(_IMAGE_FILE.search(str(one.get(address) or ""))))
    )


def _width(one: Any) -> int:
    """How wide a picture is in pixels; 0 where it does not say."""
    said = str(one.get("width") or "").removesuffix("px")
    return int(said) if said.isdecimal() and len(said) < _LONGEST_WIDTH else 0
