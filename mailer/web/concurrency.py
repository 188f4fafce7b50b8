"""How many requests are answered at once: in all, and for one client. The others are asked to come back.

A request counts from when it is whole until its answer is ready. What waits for its client does not count
here, because `mailer.web.server` bounds that.
"""

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mailer.web.client import Network, client_ip, one_client
from mailer.web.faults import fault

T = TypeVar("T")

MOST_AT_ONCE: Final = 200
MOST_OF_ONE_CLIENT: Final = 50
_RETRY_SECONDS: Final = 5


class LimitConcurrency:
    """The application `app`, which answers so many requests at once; others get 503 with Retry-After.

    Health checks and readers who leave with one click always get their answer: those who ask are programs
    that may not ask again.

    Args:
        app: what answers.
        pages: the application that makes the page for those who have to come back.
        trusted_proxies: whose X-Forwarded-For counts.
    """

    def __init__(self, app: ASGIApp, pages: Starlette, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._pages = pages
        self._trusted_proxies = trusted_proxies
        self._answering: Counter[str | None] = Counter()

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
            await fault(Request(scope), 503, headers)(scope, receive, send)
            return

        async def uncounted(turn: Awaitable[T]) -> T:
            self._answering[client] -= 1
            try:
                return await turn
            finally:
                self._answering[client] += 1

        self._answering[client] += 1
        try:
            await self._app(
                scope,
                lambda: uncounted(receive()),
                lambda message: uncounted(send(message)),
            )
        finally:
            self._answering[client] -= 1
            if not self._answering[client]:
                del self._answering[client]

    def _client(self, request: Request) -> str | None:
        peer = request.client.host if request.client else None
        ip = client_ip(peer, request.headers.getlist("x-forwarded-for"), self._trusted_proxies)
        return one_client(ip, self._trusted_proxies)

    def _is_too_much(self, client: str | None) -> bool:
        return self._answering.total() >= MOST_AT_ONCE or (
            client is not None and self._answering[client] >= MOST_OF_ONE_CLIENT
        )


def _is_always_answered(method: str, path: str) -> bool:
    return path == "/healthz" or (method == "POST" and path.startswith("/unsubscribe/"))
