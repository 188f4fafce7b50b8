"""`mailer run`: starts the roles in one process, and stops them in order.

The main thread owns the signals and the listening socket; every role has threads of its own.
"""

import logging
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Protocol, Self

import click

from mailer.cli.base import Command, opened
from mailer.cli.output import message
from mailer.digests.template_check import check_templates, languages_in_use
from mailer.errors import MailerError, Refused
from mailer.settings import local_links

if TYPE_CHECKING:
    from mailer.app import App

log = logging.getLogger(__name__)

ROLES: Final = ("web", "scheduler", "worker")
_BACKLOG: Final = 512
_LAST_ANSWERS_SECONDS: Final = 30.0
"""How long to wait for a web server that was told to stop: its own limit is shorter."""


@click.command(cls=Command)
@click.argument("roles", nargs=-1, type=click.Choice(ROLES), metavar="[web] [scheduler] [worker]")
def run(roles: tuple[str, ...]) -> None:
    """Run the roles that you name, or all three, until SIGTERM or Ctrl-C.

    The web role serves sign-up pages, the scheduler fetches feeds and builds digests, the worker sends mail.
    After a signal no new mail is started, what is under way is finished, and the process ends within
    30 seconds. With PostgreSQL, any number of processes can share the work.

    \b
    Example:
      mailer run
      mailer run scheduler worker
    """
    with opened(role=True) as app:
        if not roles or "worker" in roles:
            local_links.check(app.settings.base_url, app.settings.smtp_url)
            app.check_dkim()
        # A template that fails stops the start, and not the digest at its slot.
        app.templates.check_all()
        with app.database.read() as session:
            languages = languages_in_use(session)
        check_templates(app.templates, languages)
        _run(app, frozenset(roles or ROLES))


def _run(app: "App", roles: frozenset[str]) -> None:
    # With a log in JSON, stderr is read by machines, words for people included.
    tell = log.info if app.settings.log_format == "json" else message
    with _StopSignal() as stop, ExitStack() as stack:
        running: list[_Role] = []
        stack.callback(_stop, running)
        web = _Web(app, stop) if "web" in roles else None
        if web is not None:
            running.append(web)
        worker = None
        if "worker" in roles:
            from mailer.worker import Worker

            worker = Worker(app, on_end=stop.set)
            worker.start()
            running.append(worker)
        if "scheduler" in roles:
            from mailer.scheduler import Scheduler

            scheduler = Scheduler(app)
            scheduler.start()
            running.append(scheduler)
        if web is not None:
            web.start()
            tell(f"listening on http://{app.settings.host}:{app.settings.port}")
        tell(f"running: {', '.join(role for role in ROLES if role in roles)}")
        stop.wait()
        ended = [
            name
            for name, part in (("web server", web), ("worker", worker))
            if part is not None and part.has_ended
        ]
        _stop_soon(running)
        tell("stopping")
    if ended:
        raise MailerError(f"the {' and the '.join(ended)} ended by itself; see the log above")


class _Role(Protocol):
    def stop_soon(self) -> None: ...
    def join(self) -> None: ...


def _stop_soon(running: Sequence[_Role]) -> None:
    """Tell all roles to stop, so that none begins anything while another is waited for."""
    for role in running:
        role.stop_soon()


def _stop(running: Sequence[_Role]) -> None:
    """Stop all roles and wait; each one's time limit counts from when it was told to stop."""
    _stop_soon(running)
    for role in reversed(running):
        role.join()


class _StopSignal:
    """Lets the main thread wait for a signal, or for a role that ended by itself.

    Not a `threading.Event`: a signal that another thread receives, or that comes just before the main
    thread waits, would be seen only after the wait, which is never.
    """

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)

    def __enter__(self) -> Self:
        # Python writes to the socket at once, in whichever thread the signal comes.
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self._reading.close()
        self._writing.close()

    def set(self) -> None:
        """End the wait, now or when it begins."""
        # If nothing more fits in, the wait ends anyway.
        with suppress(BlockingIOError):
            self._writing.send(b"\0")

    def wait(self) -> None:
        self._reading.recv(1)


class _Web:
    """Serves the web role in a thread of its own, on a socket that is bound at once.

    Raises:
        Refused: the address cannot be listened on.
    """

    def __init__(self, app: "App", stop: _StopSignal) -> None:
        from mailer.web import make_app
        from mailer.web.server import make_server

        self._socket = _listen(app.settings.host, app.settings.port)
        self._server = make_server(make_app(app), app.settings.trusted_proxies)
        self._stop = stop
        self._monotonic = app.times.monotonic
        self._until = 0.0
        # A daemon: nothing that hangs may keep the process from ending in time.
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Start to serve; the socket is listening already, so no client is turned away."""
        self._thread.start()

    def stop_soon(self) -> None:
        """Accept no more requests; those under way are answered."""
        if not self._server.should_exit:
            self._until = self._monotonic() + _LAST_ANSWERS_SECONDS
        self._server.should_exit = True

    def join(self) -> None:
        """Wait until the last response is sent, which no client can delay for long."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, self._until - self._monotonic()))
        self._socket.close()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._stop.set()


def _listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. Its protocol is named, or asyncio would not set TCP_NODELAY on it.

    Raises:
        Refused: the address cannot be listened on.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as closing:
            listening = closing.enter_context(
                socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            )
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            closing.pop_all()
    except OSError as error:
        raise Refused(
            f"cannot listen on port {port} of {host} ({error.strerror}); "
            "set another `port` or `host`, or stop what listens there"
        ) from error
    return listening
