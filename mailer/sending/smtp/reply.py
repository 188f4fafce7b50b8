"""Parses SMTP replies: bytes from the relay, in any pieces, become whole replies.

Pure. What a reply means is decided in `mailer.sending.smtp.verdict`, never here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

LONGEST_REPLY = 64 * 1024
"""The most bytes of one reply that are accepted; RFC 5321 section 4.5.3.1.5 allows 512 a line."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)")


class Unreadable(Exception):
    """What the relay said is not an SMTP reply. Never leaves `mailer.sending.smtp.conversation`."""


@dataclass(frozen=True)
class Reply:
    """One whole reply (RFC 5321 section 4.2): its code and the text of each of its lines."""

    code: int
    lines: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """All lines as one."""
        return " ".join(line for line in self.lines if line)

    @cached_property
    def enhanced(self) -> str | None:
        """The enhanced status such as "5.1.1" (RFC 3463), if it agrees with the code."""
        status = _ENHANCED.match(self.lines[0]) if self.lines else None
        return status[0] if status and status[1] == str(self.code)[0] else None

    @cached_property
    def accepted(self) -> bool:
        """Whether the code is a 2xx."""
        return self.code // 100 == 2

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


class ReplyReader:
    """Collects bytes and hands out replies as soon as they are whole."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[str] = []
        self._code = 0
        self._length = 0

    @property
    def empty(self) -> bool:
        """Whether no part of a further reply has come."""
        return not self._buffer and not self._lines

    def read(self, data: bytes) -> Iterator[Reply]:
        """Take in what was read from the relay, and return the replies that are whole, one at a time.

        Raises:
            Unreadable: the bytes are not a reply, or one without end.
        """
        self._buffer += data
        while True:
            line, line_end, rest = self._buffer.partition(b"\n")
            if not line_end:
                break
            self._buffer = rest
            goes_on, reply = _parse(line)
            if goes_on or self._lines:
                if self._lines and reply.code != self._code:
                    raise Unreadable("the relay's reply contains different codes")
                self._code = reply.code
                self._lines += reply.lines
                self._length += len(line) + 1
                if goes_on:
                    continue
                reply = Reply(reply.code, tuple(self._lines))
                self._lines, self._length = [], 0
            yield reply
        if self._length + len(self._buffer) > LONGEST_REPLY:
            raise Unreadable("the relay's reply has no end")


@lru_cache(maxsize=256)
def _parse(line: bytes) -> tuple[bool, Reply]:
    """Parse a line: whether the reply goes on after it, and the reply if this is all of it.

    Raises:
        Unreadable: it is no line of a reply.
    """
    # Cached, because a relay says the same to every MAIL, RCPT and DATA.
    parts = _LINE.fullmatch(line.removesuffix(b"\r"))
    if parts is None:
        raise Unreadable("the relay sent something that is not an SMTP reply")
    text = (parts[3] or b"").decode("utf-8", "replace").strip()
    return parts[2] == b"-", Reply(int(parts[1]), (text,))
