"""Rules on bytes and lines, before anything is made of them."""

import re
from collections.abc import Iterator

from mailer.message.lint.reading import Part, lines_of
from mailer.message.lint.rules import Problem

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
_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?")


def judge_lines(raw: bytes, mail: Part) -> Iterator[Problem]:
    """Problems with the bytes of the mail and the lengths of its lines."""
    for rule, pattern in _BYTES.items():
        found = list(pattern.finditer(raw))
        if found:
            line = raw.count(b"\n", 0, found[0].start()) + 1
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            yield Problem(rule, f"byte 0x{found[0][0][0]:02X} in line {line}{more}")
    for number, octets in enumerate(lines_of(raw), start=1):
        if len(octets) > _LONGEST:
            yield Problem("line-length", f"line {number} has {len(octets)} octets")
    for part in mail.whole():
        for field in part.fields:
            for text in field.lines:
                yield from _header_line(field.name, text)


def _header_line(name: str, line: str) -> Iterator[Problem]:
    if len(line) > _LONGEST:
        return
    if _WORD.search(line):
        if len(line) > _WORD_LINE:
            yield Problem("encoded-word-line", f"a line of {name} has {len(line)} characters")
    elif len(line) > _HEADER_LINE:
        # What stands after the name has no place to fold when it is one word.
        words = line.removeprefix(f"{name}:").split()
        if len(words) > 1:
            yield Problem("header-line-length", f"a line of {name} has {len(line)} characters")
