"""Runs uvicorn with limits on slow clients: how long connections may wait for them, and how many.

`mailer.web.request_limits` limits the requests that are being answered.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mailer.web.client_address import Network, single_client

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 20.0
HASTY_SECONDS: Final = 3.0
"""How long a head or a body may take while most places are taken."""

MOST_WAITING: Final = 200
"""How many connections may wait for their clients: to send a head, a body or the next request, or to read."""

_LAST_ANSWERS_SECONDS: Final = 4
_BACKLOG: Final = 128
"""How many connections are accepted at once: fewer than places, so that none is closed before it was read."""


class _Config(uvicorn.Config):
    """uvicorn's settings, with the proxies that many clients come through."""

    trusted_proxies: Sequence[Network] = ()


class BoundedConnection(H11Protocol):
    """Closes a connection whose client is too slow, or whose place another client needs.

    A client must finish its head and its body in time. When all places are taken, a new connection takes
    the place of the one that has waited longest, of the client that has most. So slow clients block only
    themselves, however many connections they open.
    """

    client: tuple[str, int] | None
    config: _Config
    _client: str | None = None
    _waiting_since = 0.0
    _awaited: object = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and start to wait for the head."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else None
        self._client = single_client(peer, self.config.trusted_proxies)
        self._make_room()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest; more bytes of the same part do not extend the time."""
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        """Leave an idle connection to uvicorn's own limit."""
        self._stop()
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    @property
    def _is_waiting(self) -> bool:
        """Whether the client has to act: to send, or to read what was sent."""
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
            connection: (connection._client, connection._waiting_since)
            for connection in self.connections
            if isinstance(connection, BoundedConnection)
            and connection is not self
            and connection._is_waiting
        }
        if len(waiting) >= MOST_WAITING:
            victim = list(waiting)[whose_place(list(waiting.values()))]
            # Now, so that the next connection does not choose the same one.
            self.connections.discard(victim)
            # Not `close`, which would wait until the client has read everything.
            victim.transport.abort()

    def _wait(self) -> None:
        awaited = self.conn.their_state
        if awaited is self._awaited:
            return
        self._stop()
        self._awaited = awaited
        self._waiting_since = self.loop.time()
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
    """Return which of these connections has to go: the oldest of the client that has most.

    Args:
        waiting: for each connection its client (None is a client of its own) and since when it waits.
    """
    held = Counter(client for client, _ in waiting if client is not None)
    return min(
        range(len(waiting)),
        key=lambda place: (-held.get(waiting[place][0] or "", 1), waiting[place][1]),
    )


def make_server(app: ASGIApp, trusted_proxies: Iterable[Network] = ()) -> uvicorn.Server:
    """Make a server for `app`, to be run in a thread on sockets that are listening already.

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
        # `trusted_proxies` decides who the client behind a proxy is.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
    config.trusted_proxies = tuple(trusted_proxies)
    return uvicorn.Server(config)
