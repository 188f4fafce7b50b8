"""Marks reader fields, the places of a frozen content where each reader's own text goes, and fills them.

A marker word holds the place of each. Texts of feeds cannot forge one, because the marker is random and
drawn when the content is rendered, and a content that holds the marker anywhere else is refused.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mailer.errors import BadMessage

_MARKER_BYTES = 10
"""80 random bits cannot be guessed, and fill 16 letters of base32 without padding."""


class ReaderField(StrEnum):
    """What differs from reader to reader; the value is the name in the marker word."""

    GREETING = "GREETING"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    CONFIRM = "CONFIRM"
    NOTME = "NOTME"
    PREFERENCES = "PREFERENCES"
    DATA = "DATA"
    ERASE = "ERASE"
    STOP = "STOP"
    SEND = "SEND"


_FIELD_NAMES = "|".join(ReaderField)
_OPENS = ("<p>", "<p ")
_CLOSES = "</p>"


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text split at its reader fields: `texts[0] fields[0] texts[1] … texts[-1]`.

    Attributes:
        frames: what goes before and after the value of each field, unless that is empty.
    """

    texts: tuple[str, ...]
    fields: tuple[ReaderField, ...]
    frames: tuple[tuple[str, str], ...]

    def fill(self, values: Mapping[ReaderField, str]) -> str:
        """Put `values` in the places of the fields, and join the text."""
        parts = [self.texts[0]]
        for field, frame, text in zip(self.fields, self.frames, self.texts[1:], strict=True):
            parts += (values[field].join(frame) if values[field] else "", text)
        return "".join(parts)


def new_marker(random: Callable[[int], bytes]) -> str:
    """Make a marker for one content: 16 letters and digits, safe in HTML, URLs and quoted-printable.

    Args:
        random: gives that many random bytes, such as `secrets.token_bytes`.
    """
    return base64.b32encode(random(_MARKER_BYTES)).decode("ascii")


def field_word(marker: str, field: ReaderField) -> str:
    """Make the word that stands for `field` in a content with this marker."""
    return f"{marker}{field}Z"


def split_text(text: str, marker: str) -> SplitText:
    """Split `text` at its reader fields.

    A paragraph or line that holds only the greeting is its frame, so that a reader without a name gets no
    empty paragraph or line.

    Raises:
        BadMessage: the marker occurs outside a marker word, in any letter case. A template's filter has
            changed the word, or a text tries to forge one.
    """
    parts = re.split(f"{marker}({_FIELD_NAMES})Z", text)
    texts, fields = parts[::2], tuple(ReaderField(name) for name in parts[1::2])
    broken = re.compile(marker, re.IGNORECASE)
    if any(broken.search(part) for part in texts):
        raise BadMessage(
            "a reader field was changed by the template; print the greeting and links without a filter"
        )
    frames = [("", "")] * len(fields)
    for place, field in enumerate(fields):
        if field is ReaderField.GREETING:
            before, behind = frames[place] = _frame(texts[place], texts[place + 1])
            texts[place] = texts[place].removesuffix(before)
            texts[place + 1] = texts[place + 1].removeprefix(behind)
    return SplitText(tuple(texts), fields, tuple(frames))


def _frame(before: str, behind: str) -> tuple[str, str]:
    """Find the tags or line end around a value between these texts that are there only for it."""
    tag = before[before.rfind("<") :]
    alone = tag.startswith(_OPENS) and tag.endswith(">") and behind.startswith(_CLOSES)
    start, end = (tag, _CLOSES) if alone else ("", "")
    rest = behind.removeprefix(end)
    line_end = "\r\n" if rest.startswith("\r\n") else "\n"
    if rest.startswith(line_end) and before.removesuffix(start).endswith("\n"):
        lines = line_end * (2 if rest.startswith(line_end * 2) else 1)
        # The last line end is not part of the frame: a body always ends with one.
        if len(rest) > len(lines):
            end += lines
    return start, end


class SendTimeWord(str):
    """A marker word in a template, for what is known only when a mail is sent, such as the greeting.

    A template can print it, but cannot test it: the template is rendered once for all readers.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        raise ValueError("this field is known only when a mail is sent; remove the condition on it")
