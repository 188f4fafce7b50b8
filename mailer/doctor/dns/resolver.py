"""Asks the system's resolver, or the one that is named. Never raises, and never asks the same thing twice.

Time is limited: a question takes a few seconds at most, and a resolver that has never answered is not asked
again and again.
"""

import ipaddress
import threading
from typing import TYPE_CHECKING, Final

from mailer.doctor.dns.answers import LONGEST_TEXT, MOST_RECORDS, DnsAnswer, DnsStatus
from mailer.text.untrusted import printable_line

if TYPE_CHECKING:
    from dns.rdata import Rdata
    from dns.resolver import Resolver as Stub

_SECONDS: Final = 5.0
_TRIES: Final = 3
_TIMEOUTS_AT_FIRST: Final = 3
"""After so many timeouts without a single answer, no more is asked."""
_LONGEST_ERROR: Final = 200


class Resolver:
    """Answers questions as a `LookUp`; several threads may ask.

    Args:
        server: an IP address and a port, instead of the system's resolver.
        seconds: how long a question may take with all its tries.
    """

    def __init__(self, server: tuple[str, int] | None = None, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._server = server
        self._stub: Stub | None = None
        self._answers: dict[tuple[str, str], DnsAnswer] = {}
        self._lock = threading.Lock()
        self._timeouts = 0
        self._has_answered = False

    def __call__(self, name: str, kind: str) -> DnsAnswer:
        """Look up the records of this type; see `LookUp`."""
        key = name.lower().rstrip("."), kind
        with self._lock:
            known = self._answers.get(key)
            is_silent = not self._has_answered and self._timeouts >= _TIMEOUTS_AT_FIRST
        if known is not None:
            return known
        if is_silent:
            return DnsAnswer(DnsStatus.FAILED, error="the resolver does not answer")
        answer = self._ask(*key)
        with self._lock:
            self._answers[key] = answer
            self._has_answered = self._has_answered or not answer.failed
        return answer

    def _ask(self, name: str, kind: str) -> DnsAnswer:
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            asked = dns.name.from_text(name + ".")
            found = self._configured().resolve(asked, kind, search=False)
            return DnsAnswer(
                DnsStatus.FOUND, tuple(_text(record) for record in list(found)[:MOST_RECORDS])
            )
        except dns.resolver.NXDOMAIN:
            return DnsAnswer(DnsStatus.NO_DOMAIN)
        except dns.resolver.NoAnswer:
            return DnsAnswer(DnsStatus.NO_DATA)
        except dns.exception.Timeout:
            with self._lock:
                self._timeouts += 1
            return DnsAnswer(DnsStatus.FAILED, error="the resolver does not answer in time")
        except dns.resolver.NoNameservers:
            return DnsAnswer(
                DnsStatus.FAILED, error="the name servers of this domain give no usable answer"
            )
        except dns.resolver.NoResolverConfiguration:
            return DnsAnswer(
                DnsStatus.FAILED, error="this machine has no resolver; name one with --resolver"
            )
        except (dns.exception.DNSException, OSError, ValueError) as error:
            # Whatever a stranger's server sends, the doctor goes on.
            shown = printable_line(str(error), _LONGEST_ERROR)
            return DnsAnswer(DnsStatus.FAILED, error=shown or type(error).__name__)

    def _configured(self) -> "Stub":
        import dns.resolver

        with self._lock:
            if self._stub is None:
                stub = dns.resolver.Resolver(configure=self._server is None)
                if self._server is not None:
                    host, stub.port = self._server
                    stub.nameservers = [host]
                stub.timeout = self._seconds / _TRIES
                stub.lifetime = self._seconds
                self._stub = stub
            return self._stub


def parse_server(text: str) -> tuple[str, int]:
    """Read `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`.

    Raises:
        ValueError: it is in another form; the error says what would be valid.
    """
    host, port = text, "53"
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = ""
    if not address or not 0 < number < 65536:
        raise ValueError(
            "must be an IP address, perhaps with a port: 9.9.9.9, 127.0.0.1:5353 or [::1]:5353"
        )
    return address, number


def _text(record: "Rdata") -> str:
    """Write a record as `DnsAnswer` holds it."""
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("ascii", "backslashreplace")[:LONGEST_TEXT]
    exchange = getattr(record, "exchange", None)
    if exchange is not None:
        return f"{getattr(record, 'preference', 0)} {_host(exchange)}"
    target = getattr(record, "target", None)
    return str(record) if target is None else _host(target)


def _host(name: object) -> str:
    return str(name).rstrip(".").lower()
