"""Which language a page that belongs to no newsletter speaks: what the browser asks for. Pure.

Pages of a newsletter speak its language, whatever a browser asks for.
"""

from collections.abc import Sequence
from typing import Final

_MOST_WISHES: Final = 20
"""A header with more is somebody's joke."""


def preferred(accept_language: str, there_are: Sequence[str]) -> str:
    """The language of `there_are` that an Accept-Language header likes best (RFC 9110 section 12.5.4).

    A region gets the texts of its language. Where nothing fits, the first of `there_are`.
    """
    wishes: list[tuple[float, str]] = []
    for wish in accept_language.split(",")[:_MOST_WISHES]:
        language, _, weight = wish.partition(";")
        wishes.append((_quality(weight), language.strip().lower()))
    # Sorting keeps the order of those that are liked equally.
    for quality, language in sorted(wishes, key=lambda wish: -wish[0]):
        if quality > 0:
            for one in there_are:
                if one.lower() in (language, language.split("-")[0]):
                    return one
    return there_are[0]


def _quality(weight: str) -> float:
    name, _, value = weight.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
