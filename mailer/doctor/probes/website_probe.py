"""Asks the website at `base_url` twice: whether it lives, and what it says to a bad one-click POST.

Never follows a redirect, because mail programs do not, and never uses a real link.
"""

import http.client
import ipaddress
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mailer.doctor.dns.answers import LookUp
from mailer.doctor.website import PageSeen
from mailer.settings.parsers import is_loopback

_SECONDS: Final = 10.0
_MOST_READ: Final = 4096
_MOST_ADDRESSES: Final = 4
_PORTS: Final = {"http": 80, "https": 443}
HEALTH: Final = "/healthz"
ONE_CLICK: Final = "/unsubscribe/doctor-asks-with-a-bad-token"


def ask_health(base_url: str, look_up: LookUp) -> PageSeen:
    """GET the page that says that the web role lives."""
    return _ask(base_url, look_up, "GET", HEALTH, None)


def ask_one_click(base_url: str, look_up: LookUp) -> PageSeen:
    """POST what a mail program posts (RFC 8058), to a link that is not valid."""
    return _ask(base_url, look_up, "POST", ONE_CLICK, b"List-Unsubscribe=One-Click")


class _NoAddressError(Exception):
    """The host has no address, or nobody knows whether it has one."""

    def __init__(self, reason: str, *, is_unknown: bool) -> None:
        super().__init__(reason)
        self.is_unknown = is_unknown


def _ask(base_url: str, look_up: LookUp, method: str, path: str, body: bytes | None) -> PageSeen:
    url = urlsplit(base_url)
    host = url.hostname or ""
    headers = {"User-Agent": "mailer-doctor", "Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(host, url.port or _PORTS[url.scheme], timeout=_SECONDS)
    try:
        connection.sock = _opened(url, look_up)
        address = connection.sock.getpeername()[0]
        until = _certificate_until(connection.sock)
        # The port of https would stand in the Host header otherwise.
        headers["Host"] = url.netloc
        connection.request(method, url.path.rstrip("/") + path, body, headers)
        answer = connection.getresponse()
        return PageSeen(
            status=answer.status,
            body=answer.read(_MOST_READ).decode("utf-8", "replace"),
            location=answer.getheader("Location") or "",
            date=answer.getheader("Date") or "",
            certificate_until=until,
            address=address,
        )
    except _NoAddressError as error:
        return PageSeen(
            error=str(error), is_about_dns=not error.is_unknown, is_unknown=error.is_unknown
        )
    except ssl.SSLCertVerificationError as error:
        return PageSeen(error=error.verify_message, is_about_tls=True)
    except ssl.SSLError as error:
        return PageSeen(error=str(error.reason or error), is_about_tls=True)
    except TimeoutError:
        return PageSeen(error="it did not answer in time")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return PageSeen(error=reason)
    finally:
        connection.close()


def _opened(url: SplitResult, look_up: LookUp) -> socket.socket:
    """Connect to the first address of the host that answers.

    DNS is asked, and not this machine, which may know another address than readers' machines do.

    Raises:
        OSError: none answers, or its certificate is not valid.
        _NoAddressError: it has no address.
    """
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    failure: OSError | None = None
    for address in _addresses(host, look_up):
        try:
            sock = socket.create_connection((address, port), timeout=_SECONDS)
        except OSError as error:
            failure = error
            continue
        if url.scheme != "https":
            return sock
        try:
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except OSError:
            sock.close()
            raise
    raise failure or _NoAddressError("its name is not in DNS", is_unknown=False)


def _addresses(host: str, look_up: LookUp) -> tuple[str, ...]:
    """Return the addresses of a host; those in DNS, unless it is one itself or this machine.

    Raises:
        _NoAddressError: DNS does not answer.
    """
    with suppress(ValueError):
        return (str(ipaddress.ip_address(host)),)
    if is_loopback(host):
        return (host,)
    answers = [look_up(host, kind) for kind in ("A", "AAAA")]
    addresses = [record for answer in answers for record in answer.records]
    failed = next((answer.error for answer in answers if answer.failed), None)
    if not addresses and failed is not None:
        raise _NoAddressError(failed, is_unknown=True)
    return tuple(addresses[:_MOST_ADDRESSES])


def _certificate_until(sock: socket.socket) -> datetime | None:
    if not isinstance(sock, ssl.SSLSocket):
        return None
    until = (sock.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
