"""Judges the bytes and the lines of a mail, before it is parsed."""

import re
from collections.abc import Iterator

from mailer.lint.parse import Part, lines_of
from mailer.lint.rules import Problem

_BYTES = {
    "bare-cr": re.compile(rb"\r(?!\n)"),
    "bare-lf": re.compile(rb"(?<!\r)\n"),
    "nul": re.compile(rb"\0"),
    "eight-bit": re.compile(rb"[\x80-\xff]"),
    "control-character": re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"),
}
_LONGEST = 998
_HEADER_LINE = 78
_WORD_LINE = 76
LONGEST_WORD = 75
_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?\s]*(?:\?=)?")


def judge_lines(raw: bytes, mail: Part) -> Iterator[Problem]:
    """List the problems with the bytes of the mail and the lengths of its lines."""
    for rule, pattern in _BYTES.items():
        matches = list(pattern.finditer(raw))
        if matches:
            line = raw.count(b"\n", 0, matches[0].start()) + 1
            more = f", and {len(matches) - 1} more" if len(matches) > 1 else ""
            yield Problem(rule, f"byte 0x{matches[0][0][0]:02X} in line {line}{more}")
    for number, octets in enumerate(lines_of(raw), start=1):
        if len(octets) > _LONGEST:
            yield Problem("line-length", f"line {number} has {len(octets)} octets")
    for part in mail.walk():
        for field in part.fields:
            for text in field.lines:
                yield from _header_line(field.name, text)


def _header_line(name: str, line: str) -> Iterator[Problem]:
    if len(line) > _LONGEST:
        return
    words = _WORD.findall(line)
    if words:
        # A single word that is too long is reported by its own rule.
        if len(line) > _WORD_LINE and max(map(len, words)) <= LONGEST_WORD:
            yield Problem("encoded-word-line", f"a line of {name} has {len(line)} characters")
    # A value of one word cannot be folded.
    elif len(line) > _HEADER_LINE and len(line.removeprefix(f"{name}:").split()) > 1:
        yield Problem("header-line-length", f"a line of {name} has {len(line)} characters")
