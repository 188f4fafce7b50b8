"""Fetches a document over HTTP, within limits that no server can stretch.

Follows redirects itself and checks each one anew. Only this module and `connection` use the network.
"""

import socket
import ssl
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from http.client import HTTPException
from time import monotonic
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as RequestTimeout
from urllib3.response import BaseHTTPResponse

from mailer import __version__
from mailer.errors import FeedBusy, FeedError, FeedGone
from mailer.feeds.canonical import absolute_url, is_same_host
from mailer.feeds.http.connection import Connector, Resolver, cause_of, resolve

_CHUNK: Final = 65_536
_PERMANENT: Final = frozenset({301, 308})
_REDIRECTS: Final = frozenset({302, 303, 307}) | _PERMANENT
_ACCEPT: Final = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_LONGEST_VALIDATOR: Final = 1000
_GZIP: Final = frozenset({"gzip", "x-gzip"})


@dataclass(frozen=True)
class FetchLimits:
    """How long a fetch may take, in seconds, and how large the document may be, in bytes after unpacking."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 30.0
    size: int = 5_000_000
    redirects: int = 3


@dataclass(frozen=True)
class Fetched:
    """A server's answer.

    `body` is None if nothing has changed. `url` is where the answer came from, without sign-in data.
    `permanent_url` is where the feed has moved for good: as far as permanent redirects led from the
    beginning, and not from https to http; None if there were none.
    """

    url: str
    body: bytes | None
    content_type: str
    etag: str | None
    last_modified: str | None
    permanent_url: str | None = None


@dataclass(frozen=True)
class FetchRequest:
    """What to fetch; validators make the fetch conditional (RFC 9110 section 13.1).

    The validators are sent only to `validators_url`, which gave them; None means `url`. `allow_private`
    holds for the host of `url` only: where its server redirects to is up to strangers.
    """

    url: str
    allow_private: bool = False
    etag: str | None = None
    last_modified: str | None = None
    validators_url: str | None = None


def fetch(
    request: FetchRequest,
    *,
    limits: FetchLimits = FetchLimits(),
    resolver: Resolver = resolve,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """Fetch a feed or a page.

    Args:
        resolver: finds the addresses of a host.
        tls: what certificates are checked with; the system's certificates by default.

    Raises:
        FeedError: there was no answer, or none with a document; the message says why.
        FeedGone: the server says that the feed will not come back (status 410).
        FeedBusy: the server asks not to be asked for a while.
    """
    first = permanent = url = absolute_url(request.url)
    if url is None or first is None:
        raise FeedError(f"{request.url!r} is not an http or https address")
    deadline = monotonic() + limits.total
    connector = Connector(resolver, tls or _system_certificates(), limits.connect, deadline)
    is_first_host = True
    for _ in range(limits.redirects + 1):
        # A redirect back to the first host is a stranger's choice as well.
        is_first_host = is_first_host and is_same_host(url, first)
        connection = connector.connect(
            urlsplit(url),
            allow_private=request.allow_private and is_first_host,
            is_redirected=not is_first_host,
        )
        headers = _headers(url, request)
        with _answer(connection, url, headers, limits, deadline) as response:
            if response.status not in _REDIRECTS:
                document = _document(url, headers, response, limits.size)
                return replace(document, permanent_url=permanent if permanent != first else None)
            is_permanent = response.status in _PERMANENT
            location = response.headers.get("Location", "")
        target = absolute_url(location, url)
        if target is None:
            raise FeedError(
                f"the server redirects to {location[:200]!r}, which is not a web address"
            )
        # A permanent redirect after a temporary one does not concern the address that was asked for.
        is_safe = url.startswith("http:") or target.startswith("https:")
        if permanent == url and is_permanent and is_safe:
            permanent = target
        url = target
    raise FeedError(
        f"the server redirects more than {limits.redirects} times; give the address it leads to"
    )


@cache
def _system_certificates() -> ssl.SSLContext:
    """Load the system's certificates once: that takes longer than a fetch."""
    return ssl.create_default_context()


def _headers(url: str, request: FetchRequest) -> dict[str, str]:
    headers = {
        "Host": urlsplit(url).netloc,
        "User-Agent": f"newsroom-digest-mailer/{__version__}",
        "Accept": _ACCEPT,
        "Accept-Encoding": "gzip",
        "Connection": "close",
    }
    if url == (request.validators_url or absolute_url(request.url)):
        # Both are sent: some servers look at one only, others at both.
        if request.etag:
            headers["If-None-Match"] = request.etag
        if request.last_modified:
            headers["If-Modified-Since"] = request.last_modified
    return headers


@contextmanager
def _answer(
    connection: HTTPConnection,
    url: str,
    headers: Mapping[str, str],
    limits: FetchLimits,
    deadline: float,
) -> Iterator[BaseHTTPResponse]:
    """Send one request and yield the answer, its body unread; close the connection at the end.

    Raises:
        FeedError: the server broke off or took too long.
    """
    parts = urlsplit(url)
    # The connection gives up its socket when it has read the head, and the response goes on with it.
    sock = connection.sock
    expired = threading.Event()

    def shut_down() -> None:
        expired.set()
        # It may have been closed just now.
        with suppress(OSError):
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)

    # A server that sends a byte now and then never runs into the time-out of a read.
    watchdog = threading.Timer(max(0.0, deadline - monotonic()), shut_down)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.timeout = limits.read
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(
            "GET", target, headers=headers, preload_content=False, decode_content=False
        )
        with closing(connection.getresponse()) as response:
            yield response
    except (TimeoutError, RequestTimeout) as error:
        raise FeedError(f"{parts.hostname} did not answer in time; try again later") from error
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        raise FeedError(
            f"{parts.hostname} broke off: {cause_of(error)}; try again later"
        ) from error
    finally:
        watchdog.cancel()
        connection.close()
        if expired.is_set():
            raise FeedError(
                f"{parts.hostname} took longer than {limits.total:g} s; try again later"
            )


def _document(
    url: str, headers: Mapping[str, str], response: BaseHTTPResponse, size: int
) -> Fetched:
    host, status = urlsplit(url).hostname or "", response.status
    is_conditional = not headers.keys().isdisjoint({"If-None-Match", "If-Modified-Since"})
    if status == 410:
        raise FeedGone(f"{host} says that the feed is gone for good; look for its new address")
    retry_after = response.headers.get("Retry-After", "").strip()
    if status in {429, 503} and retry_after:
        raise FeedBusy(
            f"{host} answered {status}; the mailer will ask again when the server allows it",
            retry_after,
        )
    if status not in {200, 203} and not (status == 304 and is_conditional):
        hint = (
            "its server is in trouble: try again later"
            if status >= 500
            else "check the address, then try again later"
        )
        raise FeedError(f"{host} answered {status}; {hint}")
    return Fetched(
        url=url,
        body=None if status == 304 else _body(response, size, host),
        content_type=response.headers.get("Content-Type", ""),
        etag=_validator(response.headers.get("ETag")),
        last_modified=_validator(response.headers.get("Last-Modified")),
    )


def _body(response: BaseHTTPResponse, size: int, host: str) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in _GZIP | {"identity", ""}:
        raise FeedError(f"{host} sends its feed as {encoding[:50]!r}, which was not asked for")
    chunks = response.stream(_CHUNK, decode_content=False)
    body = _joined(chunks, size, host, is_packed=encoding in _GZIP)
    if body.startswith(_GZIP_MAGIC):
        # It was packed before the server knew of it, such as a file `feed.xml.gz`.
        return _joined([body], size, host, is_packed=True)
    return body


def _joined(chunks: Iterable[bytes], size: int, host: str, *, is_packed: bool) -> bytes:
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if is_packed else None
    body = bytearray()
    received = 0
    for chunk in chunks:
        received += len(chunk)
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, size + 1 - len(body))
        except zlib.error as error:
            raise FeedError(f"{host} sends broken gzip; try again later") from error
        # What was received counts too: packed data may unpack to nothing.
        if max(len(body), received) > size:
            raise FeedError(f"the document is larger than {size:,} bytes; give a shorter feed")
    if unpack is not None and not unpack.eof:
        raise FeedError(
            f"{host} closed the connection in the middle of its answer; try again later"
        )
    return bytes(body)


def _validator(value: str | None) -> str | None:
    """Return a validator if it can be sent back; one that cannot would make each request fail."""
    return value if value and value.isprintable() and len(value) <= _LONGEST_VALIDATOR else None
