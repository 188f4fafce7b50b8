"""Parses SMTP replies: bytes from the relay, in any pieces, become whole replies.

Pure. What a reply means is decided in `mailer.sending.smtp.verdict`, never here.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

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

    @property
    def text(self) -> str:
        """All lines as one."""
        return " ".join(line for line in self.lines if line)

    @property
    def enhanced(self) -> str | None:
        """The enhanced status such as "5.1.1" (RFC 3463), if it agrees with the code."""
        status = _ENHANCED.match(self.lines[0]) if self.lines else None
        return status[0] if status and status[1] == str(self.code)[0] else None

    @property
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

    def feed(self, data: bytes) -> None:
        """Take in what was read from the relay."""
        self._buffer += data

    def next(self) -> Reply | None:
        """Return the next whole reply, or None if more bytes must come first.

        Raises:
            Unreadable: the bytes are not a reply, or one without end.
        """
        while (end := self._buffer.find(b"\n")) >= 0:
            line = self._buffer[:end].removesuffix(b"\r")
            self._buffer = self._buffer[end + 1 :]
            code, goes_on, text = _parse(line)
            if self._lines and code != self._code:
                raise Unreadable("the relay's reply contains different codes")
            if not goes_on and not self._lines:
                return Reply(code, (text,))
            self._code = code
            self._lines.append(text)
            self._length += end + 1
            if not goes_on:
                reply = Reply(code, tuple(self._lines))
                self._lines, self._length = [], 0
                return reply
        if self._length + len(self._buffer) > LONGEST_REPLY:
            raise Unreadable("the relay's reply has no end")
        return None


@lru_cache(maxsize=256)
def _parse(line: bytes) -> tuple[int, bool, str]:
    # Cached, because a relay says the same to every MAIL, RCPT and DATA.
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise Unreadable("the relay sent something that is not an SMTP reply")
    text = (parts[3] or b"").decode("utf-8", "replace").strip()
    return int(parts[1]), parts[2] == b"-", text
