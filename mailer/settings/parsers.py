"""Parses the text of each setting into its value. Pure: never reads or opens anything.

Every parser takes a text, and raises a ValueError that says what would be valid. The error never repeats the
text, because that may be a secret.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from mailer import address
from mailer.address import Address
from mailer.errors import BadAddress
from mailer.rate import Rate, SignupLimits
from mailer.sending.smtp.events import TIMEOUTS, Tls
from mailer.settings.masking import without_password

SIGNUP_LIMITS: Final = "address=3/24h,network=20/d,total=200/h"
"""The default, and the limits that keep it if others are named."""

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WEB_URL: Final = re.compile(r"https?://[a-zA-Z0-9.:\[\]-]+([/?#][!#-&(-;=?-\[\]-~]*)?")
_RELAY_TLS: Final = {
    ("smtp", ""): None,
    ("smtp", "tls=none"): Tls.NONE,
    ("smtp", "tls=starttls"): Tls.STARTTLS,
    ("smtps", ""): Tls.IMPLICIT,
}
_LONGEST: Final = timedelta(days=36500)
_SHORTEST_KEY: Final = 32
_MOST_ADDRESSES: Final = 10
_HOST_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


class Secret:
    """A value that no print, log, repr or JSON shows. Not a `str`, because those leak.

    Args:
        value: what is kept.
        shown: what people see instead.
    """

    def __init__(self, value: str, shown: str = "***") -> None:
        self._value = value
        self._shown = shown

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __str__(self) -> str:
        return self._shown

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class RelayUrl:
    """Where the relay is."""

    host: str
    port: int
    tls: Tls
    user: str | None
    password: Secret | None


def is_loopback(host: str) -> bool:
    """Tell whether `host` names this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


@contextmanager
def _failing_with(message: str) -> Iterator[None]:
    # Every error of parsing becomes one with this message.
    try:
        yield
    except (ValueError, KeyError, BadAddress) as error:
        raise ValueError(message) from error


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """List the names and values of `name=value,name=value`."""
    for item in _items(text):
        name, _, value = item.partition("=")
        yield name, value


def _overriding(
    defaults: Mapping[str, T], text: str, parse: Callable[[str], T], message: str
) -> dict[str, T]:
    """Parse `name=value,name=value`; a name that is left out keeps its default."""
    values = dict(defaults)
    for name, value in _pairs(text):
        _require(name in values, message)
        values[name] = parse(value)
    return values


def duration(text: str) -> timedelta:
    """Parse `30s`, `15m`, `6h` or `30d`."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    value = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    _require(timedelta() < value <= _LONGEST, "must be a duration such as 30s, 15m, 6h or 30d")
    return value


def durations(text: str) -> tuple[timedelta, ...]:
    """Parse one or more durations."""
    values = tuple(duration(item) for item in _items(text))
    _require(values, "must be durations such as 5m,15m,1h")
    return values


def at_least(lowest: str) -> Callable[[str], timedelta]:
    """Make a parser of durations not shorter than `lowest`."""

    def parse(text: str) -> timedelta:
        value = duration(text)
        _require(value >= duration(lowest), f"must be at least {lowest}")
        return value

    return parse


def rate(text: str) -> Rate:
    """Parse `20/s`, `20/m`, `20/h`, `20/d`, or over a span `20/24h`."""
    with _failing_with("must be a rate such as 20/h or 3/24h"):
        count, _, span = text.partition("/")
        return Rate(number(1, 999_999_999)(count), duration(span if len(span) > 1 else f"1{span}"))


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a parser of whole numbers from `lowest` to `highest`."""

    def parse(text: str) -> int:
        is_valid = re.fullmatch("[0-9]{1,9}", text) and lowest <= int(text) <= highest
        _require(is_valid, f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def percentage(text: str) -> float:
    """Parse a percentage such as `5%` or `0.3%` into a share; `100%` is 1."""
    is_valid = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,4})?%", text)
    share = float(text.removesuffix("%")) / 100 if is_valid else 0.0
    _require(0 < share <= 1, "must be a percentage such as 5% or 0.3%")
    return share


def choice(*names: str) -> Callable[[str], str]:
    """Make a parser that accepts one of `names`."""

    def parse(text: str) -> str:
        _require(text in names, f"must be one of {', '.join(names)}")
        return text

    return parse


def yes_or_no(text: str) -> bool:
    """Parse `true` or `false`."""
    return choice("true", "false")(text) == "true"


def line(text: str) -> str:
    """Check one line of text, not empty."""
    _require(text and text.isprintable(), "must be one line of text")
    return text


def mail_address(text: str) -> Address:
    """Parse one mail address."""
    with _failing_with("must be one mail address such as desk@news.example"):
        return address.parse(text)


def mail_addresses(text: str) -> tuple[Address, ...]:
    """Parse mail addresses; of several that belong to one person, the first counts."""
    with _failing_with("must be mail addresses such as desk@news.example,chief@news.example"):
        parsed = [address.parse(item) for item in _items(text)]
    values: dict[str, Address] = {}
    for value in parsed:
        values.setdefault(value.key, value)
    _require(len(values) <= _MOST_ADDRESSES, f"must be at most {_MOST_ADDRESSES} mail addresses")
    return tuple(values.values())


def _web_url(text: str) -> SplitResult:
    """Parse an http or https URL without a user."""
    with _failing_with("must be a URL such as https://www.news.example"):
        url = urlsplit(text)
        _require(_WEB_URL.fullmatch(text) and url.hostname and url.port != 0, "")
        return url


def base_url(text: str) -> str:
    """Check a URL to put paths behind: https, unless its host is this machine; no slash at its end."""
    url = _web_url(text)
    _require(not url.query and not url.fragment, "must be a URL without a query")
    _require(
        url.scheme == "https" or is_loopback(url.hostname or ""),
        "must start with https://, unless its host is this machine",
    )
    return text.rstrip("/")


def page_url(text: str) -> str:
    """Check the URL of one page."""
    _web_url(text)
    return text


def page_urls(text: str) -> tuple[str, ...]:
    """Parse the URLs of several pages."""
    return tuple(page_url(item) for item in _items(text))


def origins(text: str) -> tuple[str, ...]:
    """Parse web origins: scheme, host and port."""
    values = tuple(_items(text))
    _require(
        not any(any(_web_url(item)[2:]) for item in values),
        "must be origins such as https://www.example, without a path",
    )
    return values


def networks(text: str) -> tuple[Network, ...]:
    """Parse IP addresses and networks."""
    with _failing_with("must be IP addresses or networks such as 10.0.0.0/8"):
        return tuple(ipaddress.ip_network(item) for item in _items(text))


def database_url(text: str) -> Secret:
    """Check a URL of SQLite or PostgreSQL, which may hold a password."""
    is_url = re.match(r"sqlite:///.|postgresql(\+psycopg)?://.", text)
    _require(is_url, "must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
    if text.startswith("postgresql"):
        # Most often a password without a host behind it, which errors and `config show` would show.
        with _failing_with("must be postgresql://USER:PASSWORD@HOST:PORT/NAME"):
            _ = urlsplit(text).port
        # Otherwise the rest of the password would be taken for the host, and be shown in errors.
        at_signs = text.partition("?")[0].count("@")
        _require(at_signs <= 1, "must have an @ in a password written as %40")
    return Secret(text, without_password(text))


def keys(text: str) -> tuple[Secret, ...]:
    """Parse keys, the current one first."""
    items = _items(text)
    _require(
        items and all(len(item) >= _SHORTEST_KEY for item in items),
        f"must be at least {_SHORTEST_KEY} characters; `mailer init` makes a good one",
    )
    return tuple(Secret(item) for item in items)


def key(text: str) -> Secret:
    """Parse one key."""
    _require("," not in text, "must be one key: it is never rotated")
    return keys(text)[0]


def token(text: str) -> Secret:
    """Check what a client sends as `Authorization: Bearer …` (RFC 6750 section 2.1)."""
    _require(
        re.fullmatch(r"[a-zA-Z0-9._~+/-]+=*", text),
        "must be letters, digits and any of -._~+/ such as `openssl rand -hex 32`",
    )
    return Secret(text)


def relay(text: str) -> RelayUrl:
    """Parse `smtp://…` or `smtps://…`; unencrypted only to this machine, or with `?tls=none`."""
    with _failing_with(
        "must be smtp://USER:PASSWORD@HOST:587, smtps://USER:PASSWORD@HOST:465 "
        "or smtp://HOST:25?tls=none"
    ):
        url = urlsplit(text)
        host, port, tls = url.hostname or "", url.port, _RELAY_TLS[url.scheme, url.query]
        user, password = (
            None if part is None else unquote(part, errors="strict")
            for part in (url.username, url.password)
        )
        _require(host and url.path in {"", "/"} and (user is None) == (password is None), "")
    if tls is None:
        tls = Tls.NONE if is_loopback(host) else Tls.STARTTLS
    return RelayUrl(
        host=host,
        port=port or (465 if tls is Tls.IMPLICIT else 25),
        tls=tls,
        user=user,
        password=None if password is None else Secret(password),
    )


def ehlo_name(text: str) -> str:
    """Check a host name or an address literal (RFC 5321 section 4.1.3)."""
    is_literal = re.fullmatch(r"\[(IPv6:)?([0-9a-fA-F.:]+)\]", text)
    is_host = re.fullmatch(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*", text)
    _require(is_literal or is_host, "must be a host name such as mail.news.example")
    return text


def timeouts(text: str) -> Mapping[str, timedelta]:
    """Parse how long to wait at each step; a step that is not named keeps its default."""
    defaults = {step.value: timedelta(seconds=seconds) for step, seconds in TIMEOUTS.items()}
    message = f"must be like dot=600s,mail=300s; the steps are {', '.join(defaults)}"
    return _overriding(defaults, text, duration, message)


def signup_limits(text: str) -> SignupLimits:
    """Parse the limits on the mails that sign-ups cause; one that is not named keeps its default."""
    defaults = {name: rate(value) for name, value in _pairs(SIGNUP_LIMITS)}
    return SignupLimits(**_overriding(defaults, text, rate, f"must be like {SIGNUP_LIMITS}"))
