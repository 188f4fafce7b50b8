"""Parses what a relay offers in its answer to EHLO.

Pure. The conversation and the composer decide what they use.
"""

from dataclasses import dataclass, field
from functools import cached_property

from mailer.sending.smtp.reply import Reply


@dataclass(frozen=True)
class Capabilities:
    """What the relay offered in its answer to EHLO; nothing after a plain HELO."""

    keywords: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def offers(self, keyword: str) -> bool:
        """Tell whether `keyword`, such as "SMTPUTF8", was in the answer."""
        return keyword in self.keywords

    @cached_property
    def pipelining(self) -> bool:
        """Whether several commands may be said before the first is answered (RFC 2920)."""
        return self.offers("PIPELINING")

    @cached_property
    def size(self) -> int | None:
        """The size of the largest mail that it takes, in bytes (RFC 1870); None if it named no limit."""
        values = self.keywords.get("SIZE", ())
        number = int(values[0]) if values and values[0].isascii() and values[0].isdigit() else 0
        return number or None

    @property
    def mechanisms(self) -> frozenset[str]:
        """The ways to authenticate, upper case."""
        return frozenset(word.upper() for word in self.keywords.get("AUTH", ()))


def capabilities(reply: Reply) -> Capabilities:
    """Parse an answer to EHLO (RFC 5321 section 4.1.1.1)."""
    keywords: dict[str, tuple[str, ...]] = {}
    for line in reply.lines[1:]:
        # Some relays still write "AUTH=PLAIN", as a draft of RFC 4954 did.
        words = line.replace("AUTH=", "AUTH ", 1).split()
        if words:
            keyword = words[0].upper()
            keywords[keyword] = keywords.get(keyword, ()) + tuple(words[1:])
    return Capabilities(keywords)
