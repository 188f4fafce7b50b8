"""Judges the parts of a mail: their order, their encodings and their texts."""

import re
from collections.abc import Iterator

from mailer.lint.html_page import visible_text
from mailer.lint.parse import Part, lines_of
from mailer.lint.rules import Problem

_TEXTS = ("text/plain", "text/html")
_LONGEST = 76
_CHARSETS = {"utf-8", "us-ascii"}
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*$)")
_BLANK_AT_END = re.compile(rb"[ \t]$")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_WORD = re.compile(r"\w+")
_SHARE = 0.3
"""The share of the HTML's words that the text has at least; it may leave out links and menus."""


def judge_parts(mail: Part) -> Iterator[Problem]:
    """List the problems with the structure of the mail and with its texts."""
    if mail.value("content-type") is None:
        yield Problem("mime-structure", "there is no Content-Type")
    for part in mail.walk():
        if part.fault:
            yield Problem("mime-structure", part.fault)
        if part.children and part.encoding not in {None, "7bit"}:
            yield Problem("transfer-encoding", f"{part.media_type} is {part.encoding}")
    texts = []
    for leaf in mail.leaves():
        if leaf.media_type in _TEXTS and not _is_attached(leaf):
            texts.append(leaf)
            yield from _text(leaf)
        elif not leaf.media_type.startswith("multipart/"):
            yield Problem("attachment", f"there is a part {leaf.media_type}")
    if not any(part.fault for part in mail.walk()):
        yield from _order(mail, texts)


def _is_attached(part: Part) -> bool:
    return (part.value("content-disposition") or "").lower().startswith("attachment")


def _order(mail: Part, texts: list[Part]) -> Iterator[Problem]:
    order = [part.media_type for part in texts]
    together = any(
        part.media_type == "multipart/alternative" and set(texts) <= set(part.leaves())
        for part in mail.walk()
    )
    if not together or order != list(_TEXTS):
        yield Problem("alternative", f"{mail.media_type} holds {', '.join(order) or 'no text'}")
        return
    plain, page = texts
    in_text, in_html = (len(_WORD.findall(t)) for t in (plain.text, visible_text(page.text)))
    if in_text < in_html * _SHARE:
        yield Problem("text-short", f"the text has {in_text} words, the HTML {in_html}")


def _text(part: Part) -> Iterator[Problem]:
    name = part.media_type
    if part.encoding == "quoted-printable":
        yield from _encoded(part, _quoted_fault(part.body))
    elif part.encoding == "base64":
        yield from _encoded(part, _base64_fault(part.body))
    else:
        yield Problem("transfer-encoding", f"{name} is {part.encoding or 'not encoded'}")
    charset = (part.parameter("charset") or "").lower()
    if charset not in _CHARSETS:
        yield Problem("charset", f"{name} is in {charset or 'no charset'}")
        return
    try:
        part.decoded().decode(charset)
    except UnicodeDecodeError as error:
        yield Problem("charset", f"{name} is not {charset}: {error.reason} at byte {error.start}")


def _encoded(part: Part, fault: str | None) -> Iterator[Problem]:
    longest = max(map(len, lines_of(part.body)))
    if longest > _LONGEST:
        yield Problem("encoded-line", f"{part.media_type} has a line of {longest} characters")
    if fault:
        yield Problem("encoding-broken", f"{part.media_type}: {fault}")


def _quoted_fault(body: bytes) -> str | None:
    lines = lines_of(body)
    for line in lines:
        if _BAD_ESCAPE.search(line):
            return f"an = that does not begin an escape in {line[:60]!r}"
        if _BLANK_AT_END.search(line):
            return f"a blank ends the line {line[:60]!r}"
    if lines[-1].endswith(b"=") or (lines[-1] == b"" and lines[-2:-1] and lines[-2][-1:] == b"="):
        return "the last line has a soft break"
    return None


def _base64_fault(body: bytes) -> str | None:
    letters = b"".join(lines_of(body))
    return None if _BASE64.fullmatch(letters) else "its length is not a whole number of groups"
