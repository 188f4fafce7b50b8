"""Adds the security headers to every answer, also to one that no page made, such as a 413 or a 500.

Wraps the finished application, because some answers are made outside of everything else.
"""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors {ancestors}"
)
BEHIND_A_LINK: Final = (
    "/confirm/", "/not-me/", "/unsubscribe/", "/preferences/", "/data/", "/erase/", "/review/", "/edit/",
    "/webhooks/",
)  # fmt: skip
"""Pages whose address holds a token: nobody may store or index them."""


class SecurityHeaders:
    """Wraps the application `app`, and adds the headers to its answers.

    Args:
        embed_origins: the sites that may frame the pages below /embed/.
    """

    def __init__(self, app: ASGIApp, embed_origins: Sequence[str]) -> None:
        self._app = app
        self._embed_origins = " ".join(embed_origins) or "'none'"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add(self, headers: MutableHeaders, path: str) -> None:
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        ancestors = self._embed_origins if path.startswith("/embed/") else "'none'"
        headers["Content-Security-Policy"] = _POLICY.format(ancestors=ancestors)
        if path.startswith(BEHIND_A_LINK):
            headers["Cache-Control"] = "no-store"
            headers["X-Robots-Tag"] = "noindex"
