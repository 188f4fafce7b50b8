"""Limits requests before a page sees them: how many run at once, in all and per client, and how large.

A request counts from when it is complete until its answer is ready. `mailer.web.server` limits what waits for
its client.
"""

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mailer.web.base import client_ip_of
from mailer.web.client_address import Network, single_client
from mailer.web.error_pages import error_answer

T = TypeVar("T")

MOST_AT_ONCE: Final = 200
MOST_OF_ONE_CLIENT: Final = 50
_RETRY_SECONDS: Final = 5


class LimitBodySize:
    """Wraps the application `pages`, and answers 413 to a request that announces a larger body.

    Starlette's own answer would be its own plain text, on every page.

    Args:
        limit: in bytes.
        others: the limits of paths that begin in another way.
    """

    def __init__(self, pages: Starlette, limit: int, others: Mapping[str, int]) -> None:
        self._pages = pages
        self._limit = limit
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, or 413."""
        answer: ASGIApp = self._pages
        if scope["type"] == "http":
            announced = Headers(scope=scope).get("content-length", "")
            path = scope["path"]
            limits = (limit for begin, limit in self._others.items() if path.startswith(begin))
            if announced.isdecimal() and int(announced) > next(limits, self._limit):
                scope["app"] = self._pages
                answer = await run_in_threadpool(error_answer, Request(scope), 413)
        await answer(scope, receive, send)


class LimitConcurrency:
    """Wraps the application `app`, and answers 503 with Retry-After to requests above the limits.

    Health checks and unsubscribing with one click always get their answer, because they come from programs
    that may not ask again.

    Args:
        pages: the application that renders the page of the 503.
        trusted_proxies: whose X-Forwarded-For counts.
    """

    def __init__(self, app: ASGIApp, pages: Starlette, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._pages = pages
        self._trusted_proxies = trusted_proxies
        self._running: Counter[str | None] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, or 503."""
        if scope["type"] != "http" or _is_always_answered(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        client = self._client(Request(scope))
        if self._is_too_much(client):
            scope["app"] = self._pages
            headers = {"Retry-After": str(_RETRY_SECONDS), "Connection": "close"}
            # In this thread: those for requests may all be taken.
            await error_answer(Request(scope), 503, headers)(scope, receive, send)
            return

        async def uncounted(transfer: Awaitable[T]) -> T:
            self._running[client] -= 1
            try:
                return await transfer
            finally:
                self._running[client] += 1

        self._running[client] += 1
        try:
            await self._app(
                scope,
                lambda: uncounted(receive()),
                lambda message: uncounted(send(message)),
            )
        finally:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

    def _client(self, request: Request) -> str | None:
        # All providers are one client: a burst of theirs leaves room for readers.
        if request.url.path.startswith("/webhooks/"):
            return "webhooks"
        ip = client_ip_of(request, self._trusted_proxies)
        return single_client(ip, self._trusted_proxies)

    def _is_too_much(self, client: str | None) -> bool:
        return self._running.total() >= MOST_AT_ONCE or (
            client is not None and self._running[client] >= MOST_OF_ONE_CLIENT
        )


def _is_always_answered(method: str, path: str) -> bool:
    return path == "/healthz" or (method == "POST" and path.startswith("/unsubscribe/"))
