"""Asks Amazon SNS for what its messages point to: certificates, and pages that confirm subscriptions.

These are the only requests that the web role makes. They go to public addresses only, follow no redirect, and
their answers are small. Which addresses may be asked is decided by `mailer.bounces.providers.sns`.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Final

from mailer.errors import FeedError
from mailer.feeds.http.connection import Resolver, resolve
from mailer.feeds.http.fetch import FetchLimits, FetchRequest, fetch

LIMITS: Final = FetchLimits(connect=3.0, read=5.0, total=8.0, size=65_536, redirects=0)
"""SNS waits 15 seconds for our answer ("Amazon SNS message delivery retries")."""

_MOST_CERTIFICATES: Final = 8

Get = Callable[[str], bytes]
"""Returns the document at an address. Raises `AmazonUnreachable`."""


class AmazonUnreachable(Exception):
    """SNS did not give the document; the text says why."""


def get_document(
    url: str,
    *,
    limits: FetchLimits = LIMITS,
    resolver: Resolver = resolve,
    tls: ssl.SSLContext | None = None,
    allow_private: bool = False,
) -> bytes:
    """Get a document over HTTPS; see `fetch` for the arguments.

    Raises:
        AmazonUnreachable: there was no answer, or none with a document.
    """
    request = FetchRequest(url, allow_private=allow_private)
    try:
        answer = fetch(request, limits=limits, resolver=resolver, tls=tls)
    except FeedError as error:
        # What stands behind it advises about feeds.
        raise AmazonUnreachable(str(error).partition(";")[0]) from error
    return answer.body or b""


class AmazonSns:
    """Gets certificates once each, and confirms subscriptions.

    Args:
        get: asks the network; a test's own where there is none.
    """

    def __init__(self, get: Get = get_document) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._certificates: dict[str, bytes] = {}

    def certificate(self, url: str) -> bytes:
        """Return the certificate at this address, in PEM.

        Raises:
            AmazonUnreachable: there was no answer, or none with a certificate.
        """
        # A request that comes meanwhile waits for the same answer.
        with self._lock:
            if url not in self._certificates:
                found = self._get(url)
                if b"BEGIN CERTIFICATE" not in found:
                    raise AmazonUnreachable("the answer is no certificate")
                if len(self._certificates) >= _MOST_CERTIFICATES:
                    self._certificates.clear()
                self._certificates[url] = found
            return self._certificates[url]

    def confirm(self, url: str) -> None:
        """Confirm the subscription that this address is for; once more changes nothing.

        Raises:
            AmazonUnreachable: there was no answer, or it says that this cannot be confirmed.
        """
        self._get(url)
