"""Relaxed canonicalisation as RFC 6376 section 3.4 tells it, over whole texts, and keys for tests."""

import re
from functools import cache

from mailer.message.dkim import SigningKey
from mailer.message.dkim_keys import KeyType, read_key
from mailer.settings.key_files import new_key

DOMAIN = "courier.example"


def relaxed_body(body: bytes) -> bytes:
    """The body, line by line: blanks are reduced, those at the end of a line go, as do empty last lines."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def relaxed_header(field: bytes) -> bytes:
    """One header, with its last line end."""
    name, value = re.sub(rb"\r\n(?=[ \t])", b"", field.removesuffix(b"\r\n")).split(b":", 1)
    value = re.sub(rb"[ \t]+", b" ", value).strip(b" ")
    return name.rstrip(b" \t").lower() + b":" + value + b"\r\n"


@cache
def signing_key(kind: KeyType) -> SigningKey:
    """A key of this type, the same one in all tests of a process; its selector is its type's name."""
    return read_key(new_key(kind), kind.value, "a test's key")
