"""Runs the demo's own servers: pages over HTTP and the inbox over SMTP, all in one thread.

The ports are bound before anything starts, so that nothing else can take them in between.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Mapping

import uvicorn
from aiosmtpd.smtp import SMTP
from starlette.types import ASGIApp

from mailer.demo.mailbox import Mailbox

HOST = "127.0.0.1"


class PortTaken(Exception):
    """A port that the demo was told to use is not free."""


def bind(port: int) -> socket.socket:
    """Open a listening socket on loopback; `port` 0 means any free one.

    Raises:
        PortTaken: another program listens there, or this user may not.
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
    """Return what the addresses of pages served from `listener` start with."""
    return f"http://{HOST}:{port_of(listener)}"


def port_of(listener: socket.socket) -> int:
    """Return the port that `listener` is bound to."""
    return int(listener.getsockname()[1])


class Servers:
    """Serves each app on its socket, and SMTP for the mailbox on another, until it is stopped."""

    def __init__(
        self, apps: Mapping[socket.socket, ASGIApp], smtp: socket.socket, mailbox: Mailbox
    ) -> None:
        self._web = {
            listener: uvicorn.Server(_configuration(app)) for listener, app in apps.items()
        }
        self._smtp = smtp
        self._mailbox = mailbox
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="demo-servers", daemon=True
        )

    def start(self) -> None:
        """Start serving, and return when every server answers.

        Raises:
            RuntimeError: they did not start.
        """
        self._thread.start()
        while not all(server.started for server in self._web.values()):
            if not self._thread.is_alive():
                raise RuntimeError("the demo's servers did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Close all connections and return when the thread has ended."""
        for server in self._web.values():
            server.should_exit = True
        self._thread.join(timeout=5)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            return SMTP(
                self._mailbox,
                hostname="inbox.example",
                ident="Local inbox",
                loop=loop,
                enable_SMTPUTF8=True,
            )

        async with await loop.create_server(session, sock=self._smtp):
            serving = [server.serve(sockets=[bound]) for bound, server in self._web.items()]
            await asyncio.gather(*serving)


def _configuration(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
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
