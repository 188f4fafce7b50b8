"""Describes what all mails of a newsletter share: its sender, its names and its colour.

Also computes the colours in which text is readable beside it. Never decides what a mail holds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from mailer.errors import Refused

if TYPE_CHECKING:
    # Only its attributes are read: this package knows no database.
    from mailer.models import Newsletter

_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_WHITE: Final = "#ffffff"
_INK: Final = "#1c1c1e"
_BLACK: Final = "#000000"
_NIGHT: Final = "#1c1c1e"
_GREY: Final = "#8a8a92"
_VISIBLE: Final = 1.25
"""The lowest contrast at which an area stands out from its background."""
_READABLE: Final = 4.5
"""The lowest contrast between text and its background (WCAG 2, 1.4.3)."""
_READABLE_AT_NIGHT: Final = 6.5
"""More than WCAG demands, because a colour that just passes looks dim on a dark background."""


@dataclass(frozen=True)
class Look:
    """A newsletter as its readers see it.

    Args:
        color: #rrggbb.
        publisher: who is responsible for it; named in every mail beside the postal address.
        pictures: whether digests show the articles' pictures.

    Raises:
        Refused: `color` is not written like that.
    """

    slug: str
    title: str
    language: str
    from_name: str
    from_address: str
    reply_to: str | None
    postal_address: str
    logo_url: str | None
    color: str
    publisher: str
    privacy_url: str | None = None
    pictures: bool = True

    def __post_init__(self) -> None:
        check_color(self.color)

    @classmethod
    def of(
        cls, newsletter: "Newsletter", *, publisher: str | None, privacy_url: str | None = None
    ) -> Self:
        """Read the look of `newsletter`; its title is the publisher if there is no other."""
        columns = {name: getattr(newsletter, name) for name in COLUMNS}
        return cls.from_columns(columns, publisher=publisher, privacy_url=privacy_url)

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, Any], *, publisher: str | None, privacy_url: str | None = None
    ) -> Self:
        """Do what `of` does, with the values of the newsletter's `COLUMNS`."""
        return cls(**columns, publisher=publisher or columns["title"], privacy_url=privacy_url)

    @property
    def on_color(self) -> str:
        """The colour of text on `color`."""
        softer = max(_WHITE, _INK, key=lambda text: contrast(text, self.color))
        # On some medium colours only pure black is readable: where white fails, black never does.
        return softer if contrast(softer, self.color) >= _READABLE else _BLACK

    @property
    def edge(self) -> str:
        """The colour of a line around or below `color`: grey if that does not stand out on every ground."""
        stands_out = all(contrast(self.color, ground) >= _VISIBLE for ground in (_WHITE, _NIGHT))
        return self.color if stands_out else _GREY

    @property
    def accent(self) -> str:
        """`color`, darkened until text on white is readable."""
        return _until_readable(self.color, toward=_INK, ground=_WHITE, least=_READABLE)

    @property
    def night_accent(self) -> str:
        """`color`, lightened until text on a dark background is readable."""
        return _until_readable(self.color, toward=_WHITE, ground=_NIGHT, least=_READABLE_AT_NIGHT)


COLUMNS: Final = tuple(
    field.name for field in fields(Look) if field.name not in {"publisher", "privacy_url"}
)
"""What a look holds of a newsletter's row."""


def check_color(color: str) -> None:
    """Check that `color` is written #rrggbb.

    Raises:
        Refused: it is not.
    """
    if not _COLOR.fullmatch(color):
        raise Refused(f"{color!r} is not a colour; write it like #1a5276")


def contrast(first: str, second: str) -> float:
    """Compute the contrast ratio of two colours, from 1 (the same) to 21 (black and white)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _until_readable(color: str, *, toward: str, ground: str, least: float) -> str:
    for step in range(20):
        mixed = _mixed(color, toward, step / 20)
        if contrast(mixed, ground) >= least:
            return mixed
    return toward


def _mixed(first: str, second: str, share: float) -> str:
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _luminance(color: str) -> float:
    """Compute the relative luminance as WCAG 2 defines it."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in _channels(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
