"""Finds email addresses in what strangers wrote.

Never judges whether an address can be mailed, see `mailer.address` for that.
"""

import re
from collections.abc import Iterator
from typing import Final

_LOCAL: Final = r"[^\s<>()\[\]\"',;:@\\|`]"
# Both begin at the start of a word: starting at every letter, a long word would take minutes.
ADDRESS: Final = re.compile(
    rf"(?<!{_LOCAL})({_LOCAL}{{1,64}})@((?:[^\W_]|[-._]){{1,255}})", re.UNICODE
)
_QUOTED: Final = re.compile(r'"([^"\n@]{1,64})"@([\w.-]{1,255})')
_UNITEXT: Final = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")


def find_addresses(text: str) -> Iterator[tuple[int, str]]:
    """Return each address with the place at which it begins."""
    for found in ADDRESS.finditer(text):
        address = _tidy(found[1], found[2])
        if address:
            yield found.start(), address


def first_address(text: str) -> str | None:
    """Return the first address in a text such as the value of To; None if there is none."""
    for _, address in find_addresses(text):
        return address
    quoted = _QUOTED.search(text)
    return f'"{quoted[1]}"@{quoted[2]}' if quoted else None


def _tidy(local: str, domain: str) -> str | None:
    domain = domain.strip(".-_")
    local = local.lstrip("*=&?!{}/.").removeprefix("mailto:")
    for kind in ("smtp=", "rfc822=", "rfc-822="):
        if local.lower().startswith(kind):
            local = local[len(kind) :]
    # Quoted-printable that nobody decoded.
    local = local.removeprefix("3D") if local.startswith("3D") else local
    return f"{local}@{domain}" if local and domain else None


def typed_address(value: str) -> str | None:
    """Return the address in a value such as "rfc822; reader@example.com" (RFC 3464, RFC 6533).

    Some write no type, some angle brackets, and some name a mailbox without a domain.
    """
    kind, semicolon, rest = value.partition(";")
    if semicolon and "@" not in kind:
        value = rest
        if kind.strip().lower() in ("utf-8", "utf8"):
            value = _UNITEXT.sub(_unitext, value)
    address = first_address(value)
    if address:
        return address
    name = value.strip().strip("<>\"'").split(" ")[0]
    return name[:255] or None


def _unitext(escaped: re.Match[str]) -> str:
    code = int(escaped[1], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
