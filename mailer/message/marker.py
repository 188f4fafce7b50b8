"""Reader fields: the few places of a frozen content where each reader's own text goes.

They stand in it as marker words. Feed texts cannot forge one, because the marker is random and drawn
when the content is rendered, and a content that holds the marker anywhere else is refused.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mailer.errors import BadMessage

_MARKER_BYTES = 10
"""80 random bits: nobody guesses them, and they fill 16 letters of base32 without padding."""


class ReaderField(StrEnum):
    """What differs from reader to reader; the value is the name in the marker word."""

    GREETING = "GREETING"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    CONFIRM = "CONFIRM"
    NOTME = "NOTME"
    PREFERENCES = "PREFERENCES"
    STOP = "STOP"
    SEND = "SEND"


_FIELD_NAMES = "|".join(ReaderField)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text cut at its reader fields: `texts[0] fields[0] texts[1] … texts[-1]`."""

    texts: tuple[str, ...]
    fields: tuple[ReaderField, ...]

    def fill(self, values: Mapping[ReaderField, str]) -> str:
        """The whole text with `values` in the fields' places."""
        parts = [self.texts[0]]
        for field, text in zip(self.fields, self.texts[1:], strict=True):
            parts += (values[field], text)
        return "".join(parts)


def new_marker(random: Callable[[int], bytes]) -> str:
    """A marker for one content: 16 letters and digits, safe in HTML, URLs and quoted-printable.

    Args:
        random: gives that many random bytes, such as `secrets.token_bytes`.
    """
    return base64.b32encode(random(_MARKER_BYTES)).decode("ascii")


def field_word(marker: str, field: ReaderField) -> str:
    """The word that stands for `field` in a content with this marker."""
    return f"{marker}{field}Z"


def cut(text: str, marker: str) -> Pieces:
    """`text` cut at its reader fields.

    Raises:
        BadMessage: the marker occurs outside a field's word, in whatever letter case. A template
            filter has changed the word, or somebody tries to forge one.
    """
    found = re.split(f"{marker}({_FIELD_NAMES})Z", text)
    pieces = Pieces(tuple(found[::2]), tuple(ReaderField(name) for name in found[1::2]))
    broken = re.compile(marker, re.IGNORECASE)
    if any(broken.search(piece) for piece in pieces.texts):
        raise BadMessage(
            "a reader's field was changed after it was put in; print greeting and links in the"
            " template as they are, without a filter"
        )
    return pieces
