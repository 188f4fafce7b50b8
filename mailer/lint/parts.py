"""Rules on the parts of a mail: their order, their encodings and what they say."""

import re
from collections.abc import Iterator

from mailer.lint.page import visible_text
from mailer.lint.reading import Part, lines_of
from mailer.lint.rules import Problem

_TEXTS = ("text/plain", "text/html")
_LONGEST = 76
_CHARSETS = {"utf-8", "us-ascii"}
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*$)")
_BLANK_AT_END = re.compile(rb"[ \t]$")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_WORD = re.compile(r"\w+")
_SHARE = 0.3
"""The text has at least this part of the words of the HTML, whose links and menus it may leave out."""


def judge_parts(mail: Part) -> Iterator[Problem]:
    """Problems with the structure of the mail and with its texts."""
    if mail.value("content-type") is None:
        yield Problem("mime-structure", "there is no Content-Type")
    for part in mail.whole():
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
    if not any(part.fault for part in mail.whole()):
        yield from _order(mail, texts)


def _is_attached(part: Part) -> bool:
    return (part.value("content-disposition") or "").lower().startswith("attachment")


def _order(mail: Part, texts: list[Part]) -> Iterator[Problem]:
    order = [part.media_type for part in texts]
    together = any(
        part.media_type == "multipart/alternative" and set(texts) <= set(part.leaves())
        for part in mail.whole()
    )
    if not together or order != list(_TEXTS):
        yield Problem("alternative", f"{mail.media_type} holds {', '.join(order) or 'no text'}")
        return
    plain, page = texts
    said, meant = len(_WORD.findall(plain.text)), len(_WORD.findall(visible_text(page.text)))
    if said < meant * _SHARE:
        yield Problem("text-short", f"the text has {said} words, the HTML {meant}")


def _text(part: Part) -> Iterator[Problem]:
    name = part.media_type
    if part.encoding == "quoted-printable":
        yield from _encoded(part, _quoted_fault(part.body))
    elif part.encoding == "base64":
        yield from _encoded(part, _base64_fault(part.body))
    else:
        yield Problem("transfer-encoding", f"{name} is {part.encoding or 'of none'}")
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
            return f"an = that begins no escape in {line[:60]!r}"
        if _BLANK_AT_END.search(line):
            return f"a blank ends the line {line[:60]!r}"
    if lines[-1].endswith(b"=") or (lines[-1] == b"" and lines[-2:-1] and lines[-2][-1:] == b"="):
        return "the last line has a soft break"
    return None


def _base64_fault(body: bytes) -> str | None:
    letters = b"".join(lines_of(body))
    return None if _BASE64.fullmatch(letters) else "it is not whole groups of base64"
