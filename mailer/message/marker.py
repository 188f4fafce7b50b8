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
_OPENS = ("<p>", "<p ")
_CLOSES = "</p>"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text cut at its reader fields: `texts[0] fields[0] texts[1] … texts[-1]`.

    Attributes:
        frames: what stands before and behind the value of each field, unless that is empty; none if no
            field has any.
    """

    texts: tuple[str, ...]
    fields: tuple[ReaderField, ...]
    frames: tuple[tuple[str, str], ...] = ()

    def holes(self, values: Mapping[ReaderField, str]) -> list[str]:
        """What goes between the texts: `values` in their frames."""
        if not self.frames:
            return [values[field] for field in self.fields]
        return [
            f"{before}{value}{behind}" if (value := values[field]) else ""
            for field, (before, behind) in zip(self.fields, self.frames, strict=True)
        ]

    def fill(self, values: Mapping[ReaderField, str]) -> str:
        """The whole text with `values` in the fields' places."""
        parts = [self.texts[0]]
        for hole, text in zip(self.holes(values), self.texts[1:], strict=True):
            parts += (hole, text)
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

    A paragraph, or a line below another, that holds nothing but the greeting is a frame of it: a reader who
    is not greeted gets neither an empty paragraph nor an empty line.

    Raises:
        BadMessage: the marker occurs outside a field's word, in whatever letter case. A template
            filter has changed the word, or somebody tries to forge one.
    """
    found = re.split(f"{marker}({_FIELD_NAMES})Z", text)
    texts, fields = found[::2], tuple(ReaderField(name) for name in found[1::2])
    broken = re.compile(marker, re.IGNORECASE)
    if any(broken.search(piece) for piece in texts):
        raise BadMessage(
            "a reader's field was changed after it was put in; print greeting and links in the"
            " template as they are, without a filter"
        )
    frames = [("", "")] * len(fields)
    for place, field in enumerate(fields):
        if field is ReaderField.GREETING:
            before, behind = frames[place] = _frame(texts[place], texts[place + 1])
            texts[place] = texts[place].removesuffix(before)
            texts[place + 1] = texts[place + 1].removeprefix(behind)
    return Pieces(tuple(texts), fields, tuple(frames) if any(map(any, frames)) else ())


def _frame(before: str, behind: str) -> tuple[str, str]:
    """What belongs to a value alone that stands between these texts: its paragraph's tags, its line's end."""
    tag = before[before.rfind("<") :]
    alone = tag.startswith(_OPENS) and tag.endswith(">") and behind.startswith(_CLOSES)
    start, end = (tag, _CLOSES) if alone else ("", "")
    rest = behind.removeprefix(end)
    line_end = "\r\n" if rest.startswith("\r\n") else "\n"
    if rest.startswith(line_end) and before.removesuffix(start).endswith("\n"):
        lines = line_end * (2 if rest.startswith(line_end * 2) else 1)
        # A body ends with a line end, whatever is in it.
        if len(rest) > len(lines):
            end += lines
    return start, end


class AtSending(str):
    """A word that stands for what only sending knows, such as a greeting.

    A template can put it where it belongs, and cannot ask about it: it is the same for all readers.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        raise ValueError(
            "this field is known only when a mail is sent; no condition can ask about it"
        )
