"""Encodes bodies as quoted-printable or base64, whole or in segments (RFC 2045 section 6).

The fixed segments of a body are encoded once; a reader's body is those and the reader's values, joined.
An encoded body has no tab, no two blanks side by side and none at the end of a line: it is in the form that
DKIM signs (RFC 6376 section 3.4.4) without being looked through for each reader.
Never decides what a body says, and never sees a header.
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

_ROOM = 75
"""An encoded line has at most 76 characters, and a soft line break needs one (RFC 2045 section 6.7)."""

_SOFT_BREAK = b"=\r\n"

_UNSAFE = re.compile(rb"[^ -<>-~]")
_SECOND_BLANK = re.compile(rb"(?<= ) ")
# A line that is a lone dot would end the SMTP data, and mailbox files change "From " at a line's start.
_LINE_START = re.compile(rb"^(?:\.|F(?=rom ))")
_LAST_BLANK = re.compile(rb" $")
_PLAIN = re.compile(rb"(?![.F])[ -<>-~]{0,%d}[!-<>-~]" % (_ROOM - 1))
"""A line that needs no encoding, such as most readers' values, if it has no two blanks side by side."""
_DROPPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Body(Protocol):
    """An encoded body with a gap for each of the reader's values."""

    @property
    def encoding(self) -> str:
        """The value of Content-Transfer-Encoding."""

    def chunks(self, values: Sequence[bytes]) -> list[bytes]:
        """Put one value into each gap. The caller joins the chunks; the last ends in CRLF."""


def body_text(text: str) -> str:
    """Prepare a text for a body: CRLF line ends, also at its end, and no control characters.

    Control characters come from feeds by mistake and mean nothing in a mail, so they are removed here; in a
    header they are refused.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = _DROPPED.sub("", lines)
    if not lines.endswith("\n"):
        lines += "\n"
    return lines.replace("\n", "\r\n")


def encode_body(segments: Sequence[bytes]) -> Body:
    """Encode a body with a gap between each two of `segments`, in the encoding that makes it smaller.

    Args:
        segments: UTF-8 with CRLF line ends only; the last one ends in CRLF.
    """
    quoted = QuotedPrintable.of(segments)
    packed = Base64.of(segments)
    empty = [b""] * (len(segments) - 1)
    bodies: tuple[Body, Body] = (quoted, packed)
    return min(bodies, key=lambda body: sum(map(len, body.chunks(empty))))


def quoted_printable(data: bytes) -> bytes:
    """Encode `data` as quoted-printable; its CRLFs stay line ends."""
    return b"\r\n".join(_quoted_line(line) for line in data.split(b"\r\n"))


def base64_lines(data: bytes) -> bytes:
    """Encode `data` as base64, every line ended by CRLF."""
    encoded = binascii.b2a_base64(data, newline=False)
    if len(encoded) <= 76:
        return encoded + b"\r\n" if encoded else b""
    lines = [encoded[at : at + 76] for at in range(0, len(encoded), 76)]
    lines.append(b"")
    return b"\r\n".join(lines)


@dataclass(frozen=True, slots=True)
class QuotedPrintable:
    """A quoted-printable body: a soft line break before and after a value keeps segments apart."""

    first: bytes
    gaps: tuple[tuple[bytes, bytes], ...]
    encoding = "quoted-printable"

    @classmethod
    def of(cls, segments: Sequence[bytes]) -> "QuotedPrintable":
        """Encode the segments, see `encode_body`."""
        encoded = []
        for segment in segments[:-1]:
            line = quoted_printable(segment)
            # After a line end, and at the start of the body, the value begins a line anyway.
            encoded.append(line + _SOFT_BREAK if segment and not line.endswith(b"\r\n") else line)
        encoded.append(quoted_printable(segments[-1]))
        # If the next segment begins with a line end, that ends the value's line.
        breaks = [b"" if segment.startswith(b"\r\n") else _SOFT_BREAK for segment in segments[1:]]
        return cls(encoded[0], tuple(zip(breaks, encoded[1:], strict=True)))

    def chunks(self, values: Sequence[bytes]) -> list[bytes]:
        """Put one value into each gap, see `Body`."""
        chunks = [self.first]
        for value, (end, segment) in zip(values, self.gaps, strict=True):
            if _PLAIN.fullmatch(value) and b"  " not in value:
                chunks += (value, end, segment)
            elif value:
                # A value that ends its line needs no soft break.
                end = b"" if value.endswith(b"\r\n") else end
                chunks += (_quoted_value(value), end, segment)
            else:
                chunks.append(segment)
        return chunks


@dataclass(frozen=True, slots=True)
class _Aligned:
    """A segment encoded behind `head`, which completes the group of three bytes that a value has begun."""

    head: bytes
    lines: bytes
    tail: bytes

    @classmethod
    def of(cls, segment: bytes, taken: int) -> "_Aligned":
        end = taken + max(len(segment) - taken, 0) // 3 * 3
        return cls(segment[:taken], base64_lines(segment[taken:end]), segment[end:])


@dataclass(frozen=True, slots=True)
class Base64:
    """A base64 body: each segment is encoded for each of the three offsets at which a group may begin."""

    first: _Aligned
    aligned: tuple[tuple[_Aligned, _Aligned, _Aligned], ...]
    encoding = "base64"

    @classmethod
    def of(cls, segments: Sequence[bytes]) -> "Base64":
        """Encode the segments, see `encode_body`."""
        return cls(
            _Aligned.of(segments[0], 0),
            tuple(
                (_Aligned.of(segment, 0), _Aligned.of(segment, 1), _Aligned.of(segment, 2))
                for segment in segments[1:]
            ),
        )

    def chunks(self, values: Sequence[bytes]) -> list[bytes]:
        """Put one value into each gap, see `Body`."""
        chunks = [self.first.lines]
        carried = self.first.tail
        for value, offsets in zip(values, self.aligned, strict=True):
            group = carried + value
            segment = offsets[-len(group) % 3]
            group += segment.head
            carried = segment.tail
            if more := len(group) % 3:
                # The segment was too short to complete the group: the rest is carried on.
                group, carried = group[:-more], group[-more:]
            chunks += (base64_lines(group), segment.lines)
        chunks.append(base64_lines(carried))
        return chunks


@lru_cache(maxsize=64)
def _quoted_value(value: bytes) -> bytes:
    # Cached, because a mail has each of its reader's links more than once.
    return quoted_printable(value)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def _quoted_line(line: bytes) -> bytes:
    if _PLAIN.fullmatch(line) and b"  " not in line:
        return line
    encoded = _UNSAFE.sub(_escape, line)
    # A pattern of its own: with both in one, each reader's link would take much longer.
    if b"  " in encoded:
        encoded = _SECOND_BLANK.sub(_escape, encoded)
    # A relay may strip blanks at a line's end (RFC 2045 section 6.7 (3)).
    encoded = _LAST_BLANK.sub(_escape, encoded)
    lines = []
    while True:
        encoded = _LINE_START.sub(_escape, encoded)
        if len(encoded) <= _ROOM:
            break
        # An escape such as =D5 stays whole.
        escape = encoded.rfind(b"=", _ROOM - 2, _ROOM)
        cut = escape if escape >= 0 else _ROOM
        lines.append(encoded[:cut])
        encoded = encoded[cut:]
    lines.append(encoded)
    return b"=\r\n".join(lines)
