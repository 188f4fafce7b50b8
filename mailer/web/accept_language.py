"""Chooses a page's language from the Accept-Language header. Pure.

Only for pages of no newsletter or of several: a newsletter's page is always in its language.
"""

from collections.abc import Sequence
from typing import Final

_MOST_RANGES: Final = 20
"""How many ranges of a header are read: browsers send fewer."""


def preferred(accept_language: str, available: Sequence[str]) -> str:
    """Return the available language that the header ranks highest (RFC 9110 section 12.5.4).

    A region matches its language. If nothing matches, the first is returned.
    """
    ranges: list[tuple[float, str]] = []
    for item in accept_language.split(",")[:_MOST_RANGES]:
        language, _, weight = item.partition(";")
        ranges.append((_quality(weight), language.strip().lower()))
    # Sorting keeps the order of equal ones.
    for quality, wanted in sorted(ranges, key=lambda item: -item[0]):
        if quality > 0:
            for language in available:
                if language.lower() in (wanted, wanted.split("-")[0]):
                    return language
    return available[0]


def _quality(weight: str) -> float:
    name, _, value = weight.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
