"""Lists the pictures that an RSS or Atom entry names: Media RSS, enclosures, its own image. Pure.

Takes an entry as the feed library gives it. The addresses are not checked yet.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

_SMALL: Final = 200
"""Narrower pictures, in pixels, are used only if there is no other one."""
_LONGEST_WIDTH: Final = 6
_IMAGE_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)(?:\?|$)", re.IGNORECASE)


def pictures_of(item: Any) -> Iterator[str]:
    """Yield the addresses of pictures, best first; `thumbnails_of` has the small ones."""
    media = [image for image in item.get("media_content", ()) if _is_picture(image, "url")]
    if media and 0 < _width(media[0]) < _SMALL:
        # Some feeds give one picture in several widths, the smallest first.
        media.sort(key=_width, reverse=True)
    yield from (str(image.get("url") or "") for image in media)
    for link in item.get("links", ()):
        if link.get("rel") == "enclosure" and _is_picture(link, "href"):
            yield str(link.get("href") or "")
    yield from _thumbnails(item, small=False)
    picture = item.get("image")
    if picture and hasattr(picture, "get"):
        yield str(picture.get("href") or "")


def thumbnails_of(item: Any) -> Iterator[str]:
    """Yield the addresses of small pictures, for an entry without a larger one."""
    yield from _thumbnails(item, small=True)
    # The library puts the address of an RSS item's own picture here.
    if _IMAGE_FILE.search(str(item.get("href") or "")):
        yield str(item["href"])


def _thumbnails(item: Any, *, small: bool) -> Iterator[str]:
    for image in item.get("media_thumbnail", ()):
        if (0 < _width(image) < _SMALL) is small:
            yield str(image.get("url") or "")


def _is_picture(image: Any, address: str) -> bool:
    kind, medium = str(image.get("type") or ""), image.get("medium")
    if medium == "image" or kind.startswith("image/"):
        return True
    return not kind and not medium and bool(_IMAGE_FILE.search(str(image.get(address) or "")))


def _width(image: Any) -> int:
    """Return a picture's width in pixels, or 0 if the feed does not give it."""
    width = str(image.get("width") or "").removesuffix("px")
    return int(width) if width.isdecimal() and len(width) < _LONGEST_WIDTH else 0
