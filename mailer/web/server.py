"""The HTTP server: uvicorn, and the bounds on slow clients that uvicorn lacks.

Bounds what waits for clients: how long, and how many. `mailer.web.concurrency` bounds what is being answered.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mailer.web.client import Network, one_client

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 20.0
HASTY_SECONDS: Final = 3.0
"""What a head or a body may take while most places are taken."""

MOST_WAITING: Final = 200
"""Connections that may wait for their clients: for a head, a body, the next request, or to be read."""

_LAST_ANSWERS_SECONDS: Final = 4
_BACKLOG: Final = 128
"""Connections accepted in one go: fewer than there are places, so that none is closed before it was read."""


class _Config(uvicorn.Config):
    """What every connection knows, with the proxies that many clients come through."""

    trusted_proxies: Sequence[Network] = ()


class BoundedConnection(H11Protocol):
    """Closes a connection whose client is too slow, or whose place another client needs.

    A client that does not finish its head or its body in time is hung up on. When all places are taken, a
    new connection takes the place of the one that has waited longest, of the client that holds most. So
    slow clients are in nobody's way but their own, however many connections they open.
    """

    client: tuple[str, int] | None
    config: _Config
    _client: str | None = None
    _waits_since = 0.0
    _awaited: object = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and begin to wait for the head."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else None
        self._client = one_client(peer, self.config.trusted_proxies)
        self._make_room()
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
        self._waits_since = self.loop.time()
        super().on_response_complete()

    @property
    def _waits(self) -> bool:
        """Whether it is the client's turn: to send, or to read what was sent."""
        return (
            self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
            or self.flow.write_paused
            or self.transport.is_closing()
            or (self.cycle is not None and self.cycle.response_complete)
        )

    def _make_room(self) -> None:
        if len(self.connections) <= MOST_WAITING:
            return
        waiting = {
            one: (one._client, one._waits_since)
            for one in self.connections
            if isinstance(one, BoundedConnection) and one is not self and one._waits
        }
        if len(waiting) >= MOST_WAITING:
            places = list(waiting)
            chosen = places[whose_place(list(waiting.values()))]
            # At once, so that the next connection does not choose the same one.
            self.connections.discard(chosen)
            # Not `close`, which would wait until the client has read everything.
            chosen.transport.abort()

    def _wait(self) -> None:
        awaited = self.conn.their_state
        if awaited is self._awaited:
            return
        self._stop()
        self._awaited = awaited
        self._waits_since = self.loop.time()
        seconds = {h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(awaited)
        if seconds is not None and not self.transport.is_closing():
            if len(self.connections) > MOST_WAITING * 3 / 4:
                seconds = min(seconds, HASTY_SECONDS)
            self._timer = self.loop.call_later(seconds, self.transport.close)

    def _stop(self) -> None:
        self._awaited = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def whose_place(waiting: Sequence[tuple[str | None, float]]) -> int:
    """Which of these connections has to go: the oldest of the client that has most.

    Args:
        waiting: for each connection its client (None is a client of its own) and since when it waits.
    """
    held = Counter(client for client, _ in waiting if client is not None)
    return min(
        range(len(waiting)),
        key=lambda place: (-held.get(waiting[place][0] or "", 1), waiting[place][1]),
    )


def make_server(app: ASGIApp, trusted_proxies: Iterable[Network] = ()) -> uvicorn.Server:
    """A server for `app`, to be run in a thread on sockets that are listening already.

    Args:
        trusted_proxies: addresses that many clients come from.
    """
    config = _Config(
        app,
        http=BoundedConnection,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Who the client is behind a proxy is decided by `trusted_proxies`, not here.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
    config.trusted_proxies = tuple(trusted_proxies)
    return uvicorn.Server(config)
