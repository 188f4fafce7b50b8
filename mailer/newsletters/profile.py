"""Checks what staff decide of a newsletter: its names, sender, postal address, look and language. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from mailer.address import parse
from mailer.errors import Refused
from mailer.message.header_lines import mailbox_line
from mailer.message.look import check_color

_LONGEST_LINE: Final = 200


@dataclass(frozen=True)
class Profile:
    """What staff decide of a newsletter, as it is stored: its fields are columns of `Newsletter`."""

    title: str = ""
    language: str = "en"
    from_name: str = ""
    from_address: str = ""
    reply_to: str | None = None
    postal_address: str = ""
    logo_url: str | None = None
    color: str = "#14507a"
    closed: bool = False
    pictures: bool = True


@dataclass(frozen=True)
class NewsletterChanges:
    """What staff typed; None leaves a field as it is.

    `sender` is "Name <address>". An empty `reply_to` or `logo_url` removes it.
    """

    title: str | None = None
    language: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    postal_address: str | None = None
    logo_url: str | None = None
    color: str | None = None
    closed: bool | None = None
    pictures: bool | None = None


def changed_profile(changes: NewsletterChanges, before: Profile | None = None) -> Profile:
    """Apply changes to a profile, or make a new one of them.

    The language is not checked here: only the templates know which there are.

    Raises:
        Refused: something is missing or not valid.
        BadAddress: the sender or `reply_to` is not an address.
        BadMessage: no From header can hold the sender.
    """
    values = {name: value for name, value in asdict(changes).items() if value is not None}
    if "sender" in values:
        values["from_name"], values["from_address"] = _sender(values.pop("sender"))
    if not values.get("language"):
        values.pop("language", None)
    checked = {name: _CHECKS[name](values[name]) for name in _CHECKS if name in values}
    profile = replace(before or Profile(), **values | checked)
    if not (profile.title and profile.from_address and profile.postal_address):
        raise Refused("a newsletter needs a title, a sender and a postal address")
    return profile


def _line(name: str, text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable() or len(text) > _LONGEST_LINE:
        raise Refused(f"the {name} must be one line of up to {_LONGEST_LINE} characters")
    return text


def _sender(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([^<>]*)<([^<>]*)>", text.strip())
    if not match or not match[1].strip().strip('"'):
        raise Refused(f'--from must be like "The Daily <daily@news.example>", not {text!r}')
    name, address = _line("sender's name", match[1].strip().strip('"')), parse(match[2]).typed
    # What no From header can hold is refused here, not by every mail of this newsletter.
    mailbox_line("From", name, address)
    return name, address


def _postal_address(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    address = "\n".join(line for line in lines if line)
    if not address or not address.replace("\n", "").isprintable():
        raise Refused("a postal address is needed: the law requires one in every mail")
    return address


def _logo(text: str) -> str | None:
    if not text:
        return None
    url = urlsplit(text)
    is_plain = re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", text)
    if url.scheme != "https" or not url.hostname or "@" in url.netloc or not is_plain:
        raise Refused(f"--logo must be an https URL of an image, not {text!r}")
    return text


def _color(text: str) -> str:
    check_color(text)
    return text.lower()


_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "title": lambda text: _line("title", text),
    "reply_to": lambda text: parse(text).typed if text else None,
    "postal_address": _postal_address,
    "logo_url": _logo,
    "color": _color,
}
"""How a typed field becomes the stored one; fields that are not here are stored as they are."""
