"""Signs complete mails with DKIM: relaxed/relaxed, by RSA and by Ed25519 (RFC 6376, RFC 8463).

Never reads a file or a clock: the same mail gets the same bytes at every attempt. Never looks for blanks in a
body: `transfer_encoding` writes bodies that are in relaxed form already.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from mailer.message.header_lines import folded, wire_address

_ALWAYS: Final = (b"from", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id")
"""Signed once more than they occur, so that nobody can add one: it would be shown, or get the answers."""

_IF_THERE: Final = (
    *(b"mime-version", b"content-type"),
    *(b"list-id", b"list-unsubscribe", b"list-unsubscribe-post"),
)
"""Signed once more than they occur, if they occur: RFC 8058 section 4 demands the last two."""

_ONCE: Final = (b"feedback-id", b"list-help", b"list-post")
"""Signed if they occur. Some relays put a Feedback-ID of their own above ours, which must do no harm.

What is in none of these is not signed: relays remove or change the headers that are meant for them, such as
X-PM-Tag and X-SES-Configuration-Set, and those that are named in `extra_headers`.
"""

_LINE: Final = 78
_SIGNATURE_LINE: Final = _LINE - len(" b=;")
_BLANK_LINE: Final = b"\r\n\r\n"
_FOLD: Final = b"\r\n "


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs, and what readers' servers need to know of it.

    Attributes:
        selector: names the key's record below the domain.
        algorithm: such as "rsa-sha256".
        sign: signs the canonical headers.
        record: the value of the TXT record that publishes the key.
    """

    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes]
    record: str


def is_covered(from_address: str, domain: str) -> bool:
    """Tell whether mails from this address are signed for `domain`: if it is of that domain, or below it.

    Raises:
        BadMessage: the address is not valid.
    """
    return _is_within(wire_address(from_address, utf8=True).rpartition("@")[2].lower(), domain)


class DkimSigner:
    """Signs mails for one domain, once with each key.

    Args:
        domain: as A-labels, in lower case.
        keys: at least one; the signature of the first stands at the top.
    """

    def __init__(self, domain: str, keys: Sequence[SigningKey]) -> None:
        self.domain = domain
        self._keys = [
            (key, folded(_first_tags(domain, key)).removesuffix(b"\r\n") + _FOLD) for key in keys
        ]

    def sign(self, mail: bytes, *, at: datetime) -> bytes:
        """Put the signatures before a mail; one from another domain is returned as it is.

        Args:
            mail: as `compose` makes it: complete, with each header only once.
            at: aware; the same at every attempt, and not later than the mail's Date.
        """
        end = mail.index(_BLANK_LINE) + 2
        headers = _canonical_headers(mail[:end])
        author = headers[b"from"].rpartition(b"@")[2].rstrip(b">\r\n").lower()
        if not _is_within(author.decode("ascii"), self.domain):
            return mail
        body_hash = base64.b64encode(hashlib.sha256(memoryview(mail)[end + 2 :]).digest())
        # A copy in this order, because a dictionary would follow the mail's.
        present = tuple(name for name in (*_ALWAYS, *_IF_THERE, *_ONCE) if name in headers)
        signed = b"".join([headers[name] for name in present])
        tags = b"t=%d; bh=%b;%bb=" % (at.timestamp(), body_hash, _header_list(present))
        signatures: list[bytes] = []
        for key, head in self._keys:
            field = head + tags
            # The signature covers its own header as it is before `b` is filled in, without a line end.
            own = b"dkim-signature:" + field.partition(b": ")[2].replace(_FOLD, b" ")
            signatures += (field, _lines(key.sign(signed + own)))
        return b"".join([*signatures, mail])


def _first_tags(domain: str, key: SigningKey) -> str:
    return (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain}; s={key.selector};"
    )


def _canonical_headers(lines: bytes) -> dict[bytes, bytes]:
    """Rewrite headers in relaxed form (RFC 6376 section 3.4.2), by their names in lower case."""
    headers = {}
    for line in lines.replace(_FOLD, b" ").split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        headers[name] = b"%b:%b\r\n" % (name, b" ".join(value.split()))
    return headers


@lru_cache(maxsize=64)
def _header_list(present: tuple[bytes, ...]) -> bytes:
    """Write the tag `h`, folded, with what stands around it."""
    lines = [b"", b" h="]
    for name in (*_ALWAYS, *_IF_THERE, *_ONCE):
        times = (name in present) + (name in _ALWAYS or (name in _IF_THERE and name in present))
        for _ in range(times):
            if len(lines[-1]) + len(name) >= _LINE:
                lines.append(b" ")
            lines[-1] += name + b":"
    return b"\r\n".join(lines).removesuffix(b":") + b";" + _FOLD


def _lines(signature: bytes) -> bytes:
    """Write the value of the tag `b`, folded, with the end of its header."""
    letters = base64.b64encode(signature)
    starts = range(0, len(letters), _SIGNATURE_LINE)
    return _FOLD.join([letters[at : at + _SIGNATURE_LINE] for at in starts]) + b"\r\n"


def _is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")
