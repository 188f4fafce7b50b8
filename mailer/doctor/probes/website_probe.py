"""Asks the website at `base_url` twice: whether it lives, and what it says to a bad one-click POST.

Never follows a redirect, because mail programs do not, and never uses a real link.
"""

import http.client
import ssl
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mailer.doctor.website import PageSeen

_SECONDS: Final = 10.0
_MOST_READ: Final = 4096
HEALTH: Final = "/healthz"
ONE_CLICK: Final = "/unsubscribe/doctor-asks-with-a-bad-token"


def ask_health(base_url: str) -> PageSeen:
    """GET the page that says that the web role lives."""
    return _ask(base_url, "GET", HEALTH, None)


def ask_one_click(base_url: str) -> PageSeen:
    """POST what a mail program posts (RFC 8058), to a link that is not valid."""
    return _ask(base_url, "POST", ONE_CLICK, b"List-Unsubscribe=One-Click")


def _ask(base_url: str, method: str, path: str, body: bytes | None) -> PageSeen:
    url = urlsplit(base_url)
    connection = _connection(url)
    headers = {"User-Agent": "mailer-doctor"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, url.path.rstrip("/") + path, body, headers)
        # After the answer the socket may belong to it.
        until = _certificate_until(connection)
        answer = connection.getresponse()
        return PageSeen(
            status=answer.status,
            body=answer.read(_MOST_READ).decode("utf-8", "replace"),
            location=answer.getheader("Location") or "",
            date=answer.getheader("Date") or "",
            certificate_until=until,
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


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, url.port, timeout=_SECONDS, context=context)
    return http.client.HTTPConnection(host, url.port, timeout=_SECONDS)


def _certificate_until(connection: http.client.HTTPConnection) -> datetime | None:
    if not isinstance(connection.sock, ssl.SSLSocket):
        return None
    until = (connection.sock.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
