"""Fetches a feed over HTTP, within limits that no server can stretch. The only place here with sockets.

A host is resolved once, every address it has is checked, and the connection goes to a checked address: a
name server that changes its answer changes nothing. Redirects are followed by hand, each one checked anew.
"""

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http.client import HTTPException
from queue import Empty, Queue
from time import monotonic
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as RequestTimeout
from urllib3.response import BaseHTTPResponse

from mailer import __version__
from mailer.errors import FeedBusy, FeedError, FeedGone
from mailer.feeds.canonical import absolute_url, is_same_host
from mailer.feeds.http.address_policy import may_connect
from mailer.text.untrusted import printable_line

Resolver = Callable[[str, int], Sequence[str]]
"""The IP addresses of a host, for a connection to a port. Raises OSError where there are none."""

_CHUNK: Final = 65_536
_MOST_ADDRESSES: Final = 4
_PERMANENT: Final = frozenset({301, 308})
_REDIRECTS: Final = frozenset({302, 303, 307}) | _PERMANENT
_ACCEPT: Final = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
_PACKED: Final = b"\x1f\x8b\x08"
_LONGEST_VALIDATOR: Final = 1000
_GZIP: Final = frozenset({"gzip", "x-gzip"})


@dataclass(frozen=True)
class FetchLimits:
    """How long a fetch may take, in seconds, and how much it may bring, in bytes after unpacking."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 30.0
    size: int = 5_000_000
    redirects: int = 3


@dataclass(frozen=True)
class Fetched:
    """What a server answered.

    `body` is None where it said that nothing has changed. `url` is where the answer came from, without
    sign-in data. `permanent_url` is where the feed has moved for good: as far as permanent redirects led
    from the beginning, and not from https to http; None where there were none.
    """

    url: str
    body: bytes | None
    content_type: str
    etag: str | None
    last_modified: str | None
    permanent_url: str | None = None


@dataclass(frozen=True)
class FetchRequest:
    """What to fetch: validators make the fetch conditional (RFC 9110 section 13.1).

    They are sent to `validators_url` only, which gave them; None is `url`. `allow_private` counts for the
    host of `url` only: where its server redirects to is up to strangers.
    """

    url: str
    allow_private: bool = False
    etag: str | None = None
    last_modified: str | None = None
    validators_url: str | None = None


@dataclass(frozen=True)
class _Request:
    """One request of a fetch: a fetch has several where it is redirected."""

    url: SplitResult
    wanted: FetchRequest
    is_first_host: bool
    limits: FetchLimits
    deadline: float
    resolve: Resolver
    tls: ssl.SSLContext
    headers: dict[str, str] = field(default_factory=dict)


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives for `host`, the preferred one first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def fetch(
    wanted: FetchRequest,
    *,
    limits: FetchLimits = FetchLimits(),
    resolver: Resolver = resolve,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """Fetch a feed.

    Args:
        wanted: its address, and what is known of it.
        limits: of time and size.
        resolver: finds the addresses of a host.
        tls: what certificates are checked with; the system's certificates by default.

    Raises:
        FeedError: there was no answer, or one that is no document; the message says why.
        FeedGone: the server says that the feed will not come back (status 410).
        FeedBusy: it asks to be left alone for a while.
    """
    deadline = monotonic() + limits.total
    url = absolute_url(wanted.url)
    if url is None:
        raise FeedError(f"{wanted.url!r} is no http or https address")
    context = tls or _system_certificates()
    first = permanent = url
    is_first_host = True
    for _ in range(limits.redirects + 1):
        parts = urlsplit(url)
        # What a stranger sends back there is a stranger's choice as well.
        is_first_host = is_first_host and is_same_host(url, first)
        request = _Request(
            url=parts,
            wanted=wanted,
            is_first_host=is_first_host,
            limits=limits,
            deadline=deadline,
            resolve=resolver,
            tls=context,
            headers=_headers(parts, wanted),
        )
        with _answer(request) as response:
            if response.status not in _REDIRECTS:
                return replace(
                    _document(request, response),
                    permanent_url=permanent if permanent != first else None,
                )
            is_permanent = response.status in _PERMANENT
            location = response.headers.get("Location", "")
        target = absolute_url(location, url)
        if target is None:
            raise FeedError(f"the server redirects to {location[:200]!r}, which is no web address")
        # Behind a redirect for now, one for good says nothing of the address that was asked for.
        is_safe = parts.scheme == "http" or target.startswith("https:")
        if permanent == url and is_permanent and is_safe:
            permanent = target
        url = target
    raise FeedError(
        f"the server redirects more than {limits.redirects} times; give the address it leads to"
    )


@cache
def _system_certificates() -> ssl.SSLContext:
    """Read once: that takes longer than a fetch."""
    return ssl.create_default_context()


def _headers(url: SplitResult, wanted: FetchRequest) -> dict[str, str]:
    headers = {
        "Host": url.netloc,
        "User-Agent": f"newsroom-digest-mailer/{__version__}",
        "Accept": _ACCEPT,
        "Accept-Encoding": "gzip",
        "Connection": "close",
    }
    if urlunsplit(url) != (wanted.validators_url or absolute_url(wanted.url)):
        return headers
    # Both are sent where both are known: some servers look at one only, others at both.
    if wanted.etag:
        headers["If-None-Match"] = wanted.etag
    if wanted.last_modified:
        headers["If-Modified-Since"] = wanted.last_modified
    return headers


@contextmanager
def _answer(request: _Request) -> Iterator[BaseHTTPResponse]:
    """The answer to one request, its head read; its body is read inside the block."""
    host = request.url.hostname or ""
    expired = threading.Event()
    connection = _connected(request, _checked_addresses(request))
    # A server that sends a byte now and then never runs into the time-out of a read.
    watchdog = threading.Timer(
        max(0.0, request.deadline - monotonic()), _shut, (connection.sock, expired)
    )
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.timeout = request.limits.read
        target = urlunsplit(("", "", request.url.path or "/", request.url.query, ""))
        connection.request(
            "GET", target, headers=request.headers, preload_content=False, decode_content=False
        )
        with closing(connection.getresponse()) as response:
            yield response
    except (TimeoutError, RequestTimeout) as error:
        raise FeedError(f"{host} did not answer in time; try again later") from error
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        raise FeedError(f"{host} broke off: {_why(error)}; try again later") from error
    finally:
        watchdog.cancel()
        connection.close()
        if expired.is_set():
            raise FeedError(f"{host} took longer than {request.limits.total:g} s; try again later")


def _connected(request: _Request, addresses: Sequence[str]) -> HTTPConnection:
    host = request.url.hostname or ""
    failure: Exception | None = None
    for address in addresses[:_MOST_ADDRESSES]:
        timeout = min(request.limits.connect, request.deadline - monotonic())
        if timeout <= 0:
            break
        connection = _connection(request, address, timeout)
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
        f"cannot connect to {host}: {_why(failure) if failure else 'no time left'}; "
        "check the address, then try again"
    ) from failure


def _connection(request: _Request, address: str, timeout: float) -> HTTPConnection:
    host = request.url.hostname or ""
    port = _port(request.url)
    if request.url.scheme == "http":
        return HTTPConnection(address, port, timeout=timeout)
    # The context checks the certificate for this name; `assert_hostname` would switch that off.
    return HTTPSConnection(
        address, port, timeout=timeout, server_hostname=host, ssl_context=request.tls
    )


def _checked_addresses(request: _Request) -> Sequence[str]:
    """The addresses of the request's host, resolved this once.

    Raises:
        FeedError: it has none, or one that must not be connected to.
    """
    host = request.url.hostname or ""
    found: Queue[Sequence[str] | OSError] = Queue()

    def look_up() -> None:
        try:
            found.put(request.resolve(host, _port(request.url)))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(str(error)))

    # The system's resolver cannot be told how long to try, so it is left behind.
    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        addresses = found.get(timeout=max(0.0, request.deadline - monotonic()))
    except Empty:
        raise FeedError(f"the name {host} was not resolved in time; try again later") from None
    if isinstance(addresses, OSError) or not addresses:
        raise FeedError(f"there is no host {host}; check the address") from None
    allow_private = request.wanted.allow_private and request.is_first_host
    for address in addresses:
        if not may_connect(address, allow_private=allow_private):
            raise FeedError(_refused(host, address, allow_private, request.is_first_host))
    return addresses


def _refused(host: str, address: str, allow_private: bool, is_first_host: bool) -> str:
    where = host if host == address else f"{host} ({address})"
    if allow_private or not may_connect(address, allow_private=True):
        return f"{where} is not on a network that feeds may be fetched from"
    if not is_first_host:
        return (
            f"the server redirects to {where}, which is on a private network; "
            "add the feed at that address with --allow-private if that is meant"
        )
    return f"{where} is on a private network; add the feed with --allow-private if that is meant"


def _document(request: _Request, response: BaseHTTPResponse) -> Fetched:
    host, status = request.url.hostname, response.status
    asked = {"If-None-Match", "If-Modified-Since"} & request.headers.keys()
    if status == 410:
        raise FeedGone(f"{host} says that the feed is gone for good; look for its new address")
    retry_after = response.headers.get("Retry-After", "").strip()
    if status in {429, 503} and retry_after:
        raise FeedBusy(
            f"{host} answered {status}; it is asked again when it wants to be", retry_after
        )
    if status not in {200, 203} and not (status == 304 and asked):
        hint = (
            "its server is in trouble: try again later"
            if status >= 500
            else "check the address, then try again later"
        )
        raise FeedError(f"{host} answered {status}; {hint}")
    return Fetched(
        url=urlunsplit(request.url),
        body=None if status == 304 else _body(response, request.limits.size, host or ""),
        content_type=response.headers.get("Content-Type", ""),
        etag=_validator(response.headers.get("ETag")),
        last_modified=_validator(response.headers.get("Last-Modified")),
    )


def _body(response: BaseHTTPResponse, size: int, host: str) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in _GZIP | {"identity", ""}:
        raise FeedError(f"{host} sends its feed as {encoding[:50]!r}, which was not asked for")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding in _GZIP else None
    body = bytearray()
    received = 0
    for chunk in response.stream(_CHUNK, decode_content=False):
        received += len(chunk)
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, size + 1 - len(body))
        except zlib.error as error:
            raise FeedError(f"{host} sends broken gzip; try again later") from error
        # What was received counts too: packed data may unpack to nothing.
        if max(len(body), received) > size:
            raise FeedError(f"the document is larger than {size:,} bytes; give a shorter feed")
    if unpack is not None and not unpack.eof:
        raise FeedError(f"{host} broke off inside its answer; try again later")
    if body.startswith(_PACKED):
        return _unpacked(bytes(body), size, host)
    return bytes(body)


def _unpacked(body: bytes, size: int, host: str) -> bytes:
    """A document that was packed before the server knew of it, such as a file `feed.xml.gz`."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpack.decompress(body, size + 1)
    except zlib.error as error:
        raise FeedError(f"{host} sends broken gzip; try again later") from error
    if len(plain) > size:
        raise FeedError(f"the document is larger than {size:,} bytes; give a shorter feed")
    if not unpack.eof:
        raise FeedError(f"{host} broke off inside its answer; try again later")
    return plain


def _validator(value: str | None) -> str | None:
    """A validator as it can be sent back; one that cannot be would make each request fail."""
    return value if value and value.isprintable() and len(value) <= _LONGEST_VALIDATOR else None


def _shut(sock: socket.socket | None, expired: threading.Event) -> None:
    expired.set()
    try:
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It was closed just now.
        pass


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _why(error: Exception) -> str:
    """The reason inside an error of a library, short and without object addresses."""
    cause = error.__cause__ or error.__context__ or error
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return printable_line(text, 200) or type(cause).__name__
