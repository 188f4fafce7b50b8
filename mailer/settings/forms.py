"""How settings are written: from the text of each to its value. Pure: nothing is read or opened.

Every parser takes a text and raises ValueError, which says what would be valid and never repeats the text,
because that may be a secret.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from mailer import address
from mailer.address import Address
from mailer.errors import BadAddress
from mailer.rate import Rate, SignupLimits
from mailer.settings.masks import without_password

SMTP_TIMEOUTS: Final = {
    # RFC 5321 section 4.5.3.2; it names no value for connecting, TLS, AUTH, RSET and QUIT.
    "connect": 60,
    "greeting": 300,
    "ehlo": 300,
    "starttls": 120,
    "auth": 120,
    "mail": 300,
    "rcpt": 300,
    "data": 120,
    "block": 180,
    "dot": 600,
    "rset": 60,
    "quit": 10,
}
"""Seconds to wait at each step of an SMTP conversation."""

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_WEB_URL: Final = re.compile(r"https?://[a-zA-Z0-9.:\[\]-]+([/?#][!#-&(-;=?-\[\]-~]*)?")
_RELAY_TLS: Final = {
    ("smtp", ""): "",
    ("smtp", "tls=none"): "none",
    ("smtp", "tls=starttls"): "starttls",
    ("smtps", ""): "implicit",
}
_LONGEST: Final = timedelta(days=36500)
_SHORTEST_KEY: Final = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Secret:
    """A value that no print, log, repr or JSON shows. Not a `str`, because those leak.

    Args:
        value: what is kept.
        shown: what stands for it where people read.
    """

    def __init__(self, value: str, shown: str = "***") -> None:
        self._value = value
        self._shown = shown

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __str__(self) -> str:
        return self._shown

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class RelayUrl:
    """Where the relay is. `tls` is "starttls" (required and verified), "implicit" or "none"."""

    host: str
    port: int
    tls: str
    user: str | None
    password: Secret | None


def duration(text: str) -> timedelta:
    """`30s`, `15m`, `6h` or `30d`.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    value = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not timedelta() < value <= _LONGEST:
        raise ValueError("must be a duration such as 30s, 15m, 6h or 30d")
    return value


def rate(text: str) -> Rate:
    """`20/s`, `20/m`, `20/h`, `20/d`, or over a span `20/24h`.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]*[smhd])", text)
    if not found or not int(found[1]):
        raise ValueError("must be a rate such as 20/h or 3/24h")
    span = found[2] if len(found[2]) > 1 else f"1{found[2]}"
    return Rate(int(found[1]), duration(span))


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def line(text: str) -> str:
    """One line of text, not empty.

    Raises:
        ValueError: it is more, or nothing.
    """
    if not text or not text.isprintable():
        raise ValueError("must be one line of text")
    return text


def choice(*names: str) -> Callable[[str], str]:
    """A parser that takes one of `names`."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return text

    return parse


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser that takes a whole number from `lowest` to `highest`."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def at_least(lowest: str) -> Callable[[str], timedelta]:
    """A parser that takes a duration not shorter than `lowest`."""

    def parse(text: str) -> timedelta:
        value = duration(text)
        if value < duration(lowest):
            raise ValueError(f"must be at least {lowest}")
        return value

    return parse


def mail_address(text: str) -> Address:
    """One mail address."""
    try:
        return address.parse(text)
    except BadAddress as error:
        raise ValueError("must be one mail address such as desk@news.example") from error


def yes_or_no(text: str) -> bool:
    """`true` or `false`."""
    return choice("true", "false")(text) == "true"


def _web_url(text: str) -> SplitResult:
    """A checked http or https URL without a user."""
    try:
        url = urlsplit(text)
        if not _WEB_URL.fullmatch(text) or not url.hostname or url.port == 0:
            raise ValueError
    except ValueError as error:
        raise ValueError("must be a URL such as https://www.news.example") from error
    return url


def base_url(text: str) -> str:
    """A URL to put paths behind: https, unless its host is this machine; no slash at its end."""
    url = _web_url(text)
    if url.query or url.fragment:
        raise ValueError("must be a URL without a query")
    if url.scheme != "https" and not is_loopback(url.hostname or ""):
        raise ValueError("must start with https://, unless its host is this machine")
    return text.rstrip("/")


def page_url(text: str) -> str:
    """The URL of one page."""
    _web_url(text)
    return text


def page_urls(text: str) -> tuple[str, ...]:
    """The URLs of several pages."""
    return tuple(page_url(item) for item in _items(text))


def origins(text: str) -> tuple[str, ...]:
    """Web origins: scheme, host and port."""
    for item in _items(text):
        if any(_web_url(item)[2:]):
            raise ValueError("must be origins such as https://www.example, without a path")
    return tuple(_items(text))


def networks(text: str) -> tuple[Network, ...]:
    """IP addresses and networks."""
    try:
        return tuple(ipaddress.ip_network(item) for item in _items(text))
    except ValueError as error:
        raise ValueError("must be IP addresses or networks such as 10.0.0.0/8") from error


def database_url(text: str) -> Secret:
    """A URL of SQLite or PostgreSQL, which may hold a password."""
    if not re.match(r"sqlite:///.|postgresql(\+psycopg)?://.", text):
        raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
    if text.startswith("postgresql"):
        try:
            _ = urlsplit(text).port
        except ValueError as error:
            # Most often a password without a host behind it, which errors and `config show` would show.
            raise ValueError("must be postgresql://USER:PASSWORD@HOST:PORT/NAME") from error
        if text.partition("?")[0].count("@") > 1:
            # The rest of the password would be taken for the host, and be shown in errors.
            raise ValueError("must have an @ in a password written as %40")
    return Secret(text, without_password(text))


def keys(text: str) -> tuple[Secret, ...]:
    """Keys, of which the first is the present one."""
    found = _items(text)
    if not found or any(len(key) < _SHORTEST_KEY for key in found):
        raise ValueError(
            f"must be at least {_SHORTEST_KEY} characters; `mailer init` makes a good one"
        )
    return tuple(Secret(key) for key in found)


def key(text: str) -> Secret:
    """One key."""
    if "," in text:
        raise ValueError("must be one key: it is never rotated")
    return keys(text)[0]


def token(text: str) -> Secret:
    """What a client shows as `Authorization: Bearer …` (RFC 6750 section 2.1).

    Raises:
        ValueError: no client could show it.
    """
    if not re.fullmatch(r"[a-zA-Z0-9._~+/-]+=*", text):
        raise ValueError("must be letters, digits and any of -._~+/ such as `openssl rand -hex 32`")
    return Secret(text)


def relay(text: str) -> RelayUrl:
    """`smtp://…` or `smtps://…`; plain only to this machine, or with `?tls=none`.

    Raises:
        ValueError: it is neither.
    """
    try:
        url = urlsplit(text)
        port = url.port
        user = None if url.username is None else unquote(url.username, errors="strict")
        password = None if url.password is None else unquote(url.password, errors="strict")
        tls = _RELAY_TLS[url.scheme, url.query]
        if not url.hostname or url.path not in {"", "/"} or (user is None) != (password is None):
            raise ValueError
    except (ValueError, KeyError) as error:
        raise ValueError(
            "must be smtp://USER:PASSWORD@HOST:587, smtps://USER:PASSWORD@HOST:465 "
            "or smtp://HOST:25?tls=none"
        ) from error
    if not tls:
        tls = "none" if is_loopback(url.hostname) else "starttls"
    return RelayUrl(
        host=url.hostname,
        port=port or (465 if tls == "implicit" else 25),
        tls=tls,
        user=user,
        password=None if password is None else Secret(password),
    )


def ehlo_name(text: str) -> str:
    """A host name or an address literal (RFC 5321 section 4.1.3)."""
    label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    literal = re.fullmatch(r"\[(IPv6:)?([0-9a-fA-F.:]+)\]", text)
    if not re.fullmatch(rf"{label}(\.{label})*", text) and not literal:
        raise ValueError("must be a host name such as mail.news.example")
    return text


def timeouts(text: str) -> Mapping[str, timedelta]:
    """How long to wait at each step: what is not named keeps its default."""
    chosen = {step: timedelta(seconds=seconds) for step, seconds in SMTP_TIMEOUTS.items()}
    for item in _items(text):
        step, _, value = item.partition("=")
        if step not in chosen:
            raise ValueError(f"must be like dot=600s,mail=300s; the steps are {', '.join(chosen)}")
        chosen[step] = duration(value)
    return chosen


def durations(text: str) -> tuple[timedelta, ...]:
    """One or more durations."""
    found = tuple(duration(item) for item in _items(text))
    if not found:
        raise ValueError("must be durations such as 5m,15m,1h")
    return found


def signup_limits(text: str) -> SignupLimits:
    """Limits on the mails that sign-ups cause: what is not named keeps its default."""
    chosen = {"address": Rate(3, timedelta(hours=24)), "network": Rate(20, timedelta(days=1)),
              "total": Rate(200, timedelta(hours=1))}  # fmt: skip
    for item in _items(text):
        name, _, value = item.partition("=")
        if name not in chosen:
            raise ValueError("must be like address=3/24h,network=20/d,total=200/h")
        chosen[name] = rate(value)
    return SignupLimits(**chosen)
