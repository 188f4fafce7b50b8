"""Connects to a web server, and only to addresses that the policy allows.

Resolves a host once, checks all its addresses, and connects to a checked one: so a name server that changes
its answer changes nothing.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from time import monotonic
from typing import Final
from urllib.parse import SplitResult

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from mailer.errors import FeedError
from mailer.feeds.http.address_policy import may_connect
from mailer.text.untrusted import printable_line

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host, for a connection to a port. Raises OSError if there are none."""

_MOST_ADDRESSES: Final = 4


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for the addresses of `host`, the preferred one first."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


@dataclass(frozen=True)
class Connector:
    """Connects for one fetch.

    Args:
        resolver: finds the addresses of a host.
        tls: what certificates are checked with.
        seconds: how long connecting to one address may take.
        deadline: when the fetch must have ended, by the monotonic clock.
    """

    resolver: Resolver
    tls: ssl.SSLContext
    seconds: float
    deadline: float

    def connect(
        self, url: SplitResult, *, allow_private: bool, is_redirected: bool
    ) -> HTTPConnection:
        """Connect to the host of `url`.

        Args:
            allow_private: addresses of private networks are allowed as well.
            is_redirected: another host redirected here, which an error then says.

        Raises:
            FeedError: it cannot be resolved or reached, or has an address that is not allowed.
        """
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        failure: Exception | None = None
        addresses = self._resolved(host, port)
        for address in addresses:
            if not may_connect(address, allow_private=allow_private):
                raise FeedError(_refused(host, address, allow_private, is_redirected))
        for address in addresses[:_MOST_ADDRESSES]:
            timeout = min(self.seconds, self.deadline - monotonic())
            if timeout <= 0:
                break
            if url.scheme == "http":
                connection = HTTPConnection(address, port, timeout=timeout)
            else:
                # The context checks the certificate for this name; `assert_hostname` would turn that off.
                connection = HTTPSConnection(
                    address, port, timeout=timeout, server_hostname=host, ssl_context=self.tls
                )
            try:
                connection.connect()
            except ssl.SSLCertVerificationError as error:
                raise FeedError(
                    f"the certificate of {host} is not valid ({error.verify_message}); "
                    "is the package ca-certificates installed?"
                ) from error
            except (HTTPError, OSError) as error:
                connection.close()
                failure = error
                continue
            return connection
        raise FeedError(
            f"cannot connect to {host}: {cause_of(failure) if failure else 'no time left'}; "
            "check the address, then try again"
        ) from failure

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        answers: Queue[Sequence[str]] = Queue()

        def look_up() -> None:
            try:
                answers.put(self.resolver(host, port))
            except (OSError, UnicodeError):
                answers.put(())

        # The system's resolver takes no time limit, so it may be left behind.
        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        try:
            addresses = answers.get(timeout=max(0.0, self.deadline - monotonic()))
        except Empty:
            raise FeedError(f"the name {host} was not resolved in time; try again later") from None
        if not addresses:
            raise FeedError(f"there is no host {host}; check the address")
        return addresses


def cause_of(error: Exception) -> str:
    """Return the reason inside a library's error, short and without object addresses."""
    cause = error.__cause__ or error.__context__ or error
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return printable_line(text, 200) or type(cause).__name__


def _refused(host: str, address: str, allow_private: bool, is_redirected: bool) -> str:
    where = host if host == address else f"{host} ({address})"
    if allow_private or not may_connect(address, allow_private=True):
        return f"{where} is not on a network that feeds may be fetched from"
    if is_redirected:
        return (
            f"the server redirects to {where}, which is on a private network; "
            "add the feed at that address with --allow-private if that is meant"
        )
    return f"{where} is on a private network; add the feed with --allow-private if that is meant"
