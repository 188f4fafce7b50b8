"""Parses SPF records (RFC 7208 section 4.6.1). Pure: never looks anything up."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

SpfNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_VERSION: Final = "v=spf1"
_TERM: Final = re.compile(r"([+?~-]?)([a-zA-Z][a-zA-Z0-9_.-]*)([:=/]?)(.*)", re.DOTALL)
_MACRO: Final = re.compile(r"%(?:[%_-]|\{[a-zA-Z][0-9]{0,3}r?[.+,/_=-]{0,9}\})")
_CIDR: Final = re.compile(r"(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?")
_NEEDS_DOMAIN: Final = frozenset({"include", "exists"})
_MAY_HAVE_DOMAIN: Final = frozenset({"a", "mx", "ptr"})
_MODIFIERS: Final = frozenset({"redirect", "exp"})
_LONGEST_SHOWN: Final = 60


class BadSpf(ValueError):
    """The record cannot be read. Never leaves `mailer.doctor.dns`."""


@dataclass(frozen=True)
class SpfTerm:
    """A mechanism or modifier.

    Attributes:
        name: in lower case, such as "include".
        qualifier: one of + - ~ ?
        domain: what it names; None if that is the domain of the record.
        network: of ip4 and ip6.
        prefixes: of a and mx, the lengths for IPv4 and IPv6.
    """

    name: str
    qualifier: str = "+"
    domain: str | None = None
    network: SpfNetwork | None = None
    prefixes: tuple[int, int] = (32, 128)

    @property
    def has_macro(self) -> bool:
        """Whether its domain depends on the mail, so that nobody can look it up beforehand."""
        return self.domain is not None and "%" in self.domain


def spf_records(texts: tuple[str, ...]) -> list[str]:
    """Return which of a domain's TXT records are SPF records (RFC 7208 section 4.5)."""
    return [
        text
        for text in texts
        if text[: len(_VERSION)].lower() == _VERSION and text[len(_VERSION) :][:1] in ("", " ")
    ]


def parse_spf(record: str) -> list[SpfTerm]:
    """Parse a record that `spf_records` returned. Modifiers of unknown names are left out.

    Raises:
        BadSpf: says what is wrong with it.
    """
    terms = [_term(word) for word in record[len(_VERSION) :].split(" ") if word]
    for modifier in _MODIFIERS:
        if sum(term is not None and term.name == modifier for term in terms) > 1:
            raise BadSpf(f"{modifier}= stands in it twice")
    return [term for term in terms if term is not None]


def _term(word: str) -> SpfTerm | None:
    parts = _TERM.fullmatch(word)
    if parts is None or not word.isascii() or not word.isprintable():
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} is neither a mechanism nor a modifier")
    qualifier, name, separator, value = parts[1], parts[2].lower(), parts[3], parts[4]
    if separator == "=":
        if qualifier:
            raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} is a modifier, which takes no {qualifier}")
        if name not in _MODIFIERS:
            return None
        return SpfTerm(name, domain=_domain(word, value))
    return _mechanism(word, name, qualifier or "+", separator, value)


def _mechanism(word: str, name: str, qualifier: str, separator: str, value: str) -> SpfTerm:
    if name == "all" and not separator:
        return SpfTerm(name, qualifier)
    if name in ("ip4", "ip6") and separator == ":":
        return SpfTerm(name, qualifier, network=_network(word, name, value))
    if name in _NEEDS_DOMAIN and separator == ":":
        return SpfTerm(name, qualifier, domain=_domain(word, value))
    if name in _MAY_HAVE_DOMAIN:
        domain, prefixes = value, separator + value if separator == "/" else ""
        if separator == ":":
            domain, slash, rest = value.partition("/")
            prefixes = slash + rest
        named = _domain(word, domain) if separator == ":" else None
        return SpfTerm(name, qualifier, named, prefixes=_prefixes(word, name, prefixes))
    raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} is no mechanism that SPF knows")


def _domain(word: str, text: str) -> str:
    bare = _MACRO.sub("", text)
    if not text or "%" in bare or ".." in text or text.startswith("."):
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} names no domain")
    if bare == text and "." not in text.rstrip("."):
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} names no whole domain")
    return text.rstrip(".").lower() if bare == text else text


def _network(word: str, name: str, text: str) -> SpfNetwork:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} is no valid network") from error
    if network.version != int(name[-1]):
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} is an address of IPv{network.version}")
    return network


def _prefixes(word: str, name: str, text: str) -> tuple[int, int]:
    parts = _CIDR.fullmatch(text)
    if parts is None or (name == "ptr" and text):
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} has no valid prefix length")
    four, six = int(parts[1] or 32), int(parts[2] or 128)
    if four > 32 or six > 128:
        raise BadSpf(f"{word[:_LONGEST_SHOWN]!r} has too long a prefix")
    return four, six
