"""The HTTP server: uvicorn, and the patience with slow clients that uvicorn lacks."""

import asyncio
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 20.0
_LAST_ANSWERS_SECONDS: Final = 10
_REQUESTS_AT_ONCE: Final = 200


class LimitedPatience(H11Protocol):
    """Closes a connection whose request line and headers, or whose body, do not arrive in time.

    Otherwise silent clients would hold connections for ever, and hold up the end of the process.
    """

    _awaited: object = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait for what is still missing; more of the same does not win time."""
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        """Leave an idle connection to uvicorn's own limit."""
        self._stop()
        super().on_response_complete()

    def _wait(self) -> None:
        awaited = self.conn.their_state
        if awaited is self._awaited:
            return
        self._stop()
        self._awaited = awaited
        seconds = {h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(awaited)
        if seconds is not None and not self.transport.is_closing():
            self._timer = self.loop.call_later(seconds, self.transport.close)

    def _stop(self) -> None:
        self._awaited = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A server for `app`, to be run in a thread on sockets that are listening already."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=LimitedPatience,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Who the client is behind a proxy is decided by `trusted_proxies`, not here.
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
            limit_concurrency=_REQUESTS_AT_ONCE,
        )
    )
