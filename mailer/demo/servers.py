"""The demo's own servers: pages over HTTP and the inbox over SMTP, all in one thread.

The ports are bound before anything starts, so that nothing else can take them in between.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP
from starlette.types import ASGIApp

HOST = "127.0.0.1"


class PortTaken(Exception):
    """A port that the demo was told to use belongs to somebody else."""


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; `port` 0 means any free one.

    Raises:
        PortTaken: somebody else listens there, or this user may not.
    """
    # The protocol is named because asyncio sets TCP_NODELAY only on sockets that say they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(64)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTaken(f"cannot listen on port {port} ({error}); choose another --port") from error
    return listener


def origin(listener: socket.socket) -> str:
    """What the addresses of pages served from `listener` start with."""
    return f"http://{HOST}:{port_of(listener)}"


def port_of(listener: socket.socket) -> int:
    """The port that `listener` is bound to."""
    return int(listener.getsockname()[1])


class Servers:
    """Serves each app on its socket, and SMTP on another, until told to stop."""

    def __init__(
        self,
        apps: Sequence[tuple[socket.socket, ASGIApp]],
        smtp: tuple[socket.socket, Any],
    ) -> None:
        self._sockets = [listener for listener, _ in apps]
        self._web = [
            uvicorn.Server(
                uvicorn.Config(
                    app,
                    http="h11",
                    loop="asyncio",
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=1,
                )
            )
            for _, app in apps
        ]
        self._smtp_socket, self._handler = smtp
        self._thread = threading.Thread(target=self._run, name="demo-servers", daemon=True)

    def start(self) -> None:
        """Return when every server answers."""
        self._thread.start()
        while not all(server.started for server in self._web):
            if not self._thread.is_alive():
                raise RuntimeError("the demo's servers did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Close all connections and return when the thread has ended."""
        for server in self._web:
            server.should_exit = True
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        mail = await loop.create_server(
            lambda: SMTP(
                self._handler,
                hostname="inbox.example",
                ident="Local inbox",
                loop=loop,
                enable_SMTPUTF8=True,
            ),
            sock=self._smtp_socket,
        )
        async with mail:
            await asyncio.gather(
                *(
                    server.serve(sockets=[listener])
                    for server, listener in zip(self._web, self._sockets, strict=True)
                )
            )
