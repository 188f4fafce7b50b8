"""The worker role: runs the send loop in a thread, until it is stopped and drained.

Also sends in the foreground, for a command that waits for a digest. Decides nothing about mails.
"""

import logging
import socket
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from mailer.app import App
from mailer.errors import MailerError
from mailer.ledger.digest_state import Counts
from mailer.monitoring.digest_progress import Standing, read_standing
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.back_off import RetryPlan
from mailer.sending.flow_control.rate import SendRate
from mailer.sending.outgoing import Composer
from mailer.sending.send_loop import Sender
from mailer.sending.smtp.connection import RelayConfig, Tls
from mailer.sending.smtp.conversation import Credentials, Step
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""A stopped worker has ended after this, whatever the relay and the database do."""

RESTART_SECONDS = 1.0
"""How soon it is tried again to begin, when the database cannot be used."""

FAULT_SECONDS = 30.0
"""How soon another sender takes the place of one that failed by a fault of ours."""

PROGRESS_SECONDS = 0.2


class Worker:
    """Sends what waits, in a thread of its own.

    Args:
        on_end: called in that thread when it ends by itself.
    """

    def __init__(self, app: App, on_end: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._on_end = on_end
        self._sender = make_sender(app)
        self._has_ended = False
        self._stop = threading.Event()
        self._stopped_at = 0.0
        # A daemon: nothing that hangs may keep the process from ending in time.
        self._thread = threading.Thread(target=self._run, name="sending", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether nothing is sent any more: where that is so before `stop`, it ended by itself."""
        return self._has_ended

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait until what is under way is finished: at most 30 s."""
        self.stop_soon()
        self.join()

    def stop_soon(self) -> None:
        """Begin nothing more; wait for nothing."""
        if not self._stop.is_set():
            self._stopped_at = self._app.times.monotonic()
        self._stop.set()
        self._sender.wake()

    def join(self) -> None:
        """Wait until what is under way is finished: at most 30 s from `stop_soon`."""
        self._thread.join(max(0.0, self._stopped_at + DRAIN_SECONDS - self._app.times.monotonic()))
        if self._thread.is_alive():
            log.error("the worker did not end in time; what it was sending is in doubt")

    def lives(self, seconds: float) -> bool:
        """Whether it still runs after so many seconds; says no at once."""
        self._thread.join(seconds)
        return self._thread.is_alive()

    def _run(self) -> None:
        told = ""
        try:
            while not self._stop.is_set():
                try:
                    self._sender.run(self._stop)
                    continue
                except SQLAlchemyError as error:
                    pause, what = RESTART_SECONDS, f"the worker cannot start: {_first_line(error)}"
                    if what != told:
                        log.error("%s; it is tried again", what)
                except Exception as error:
                    pause, what = FAULT_SECONDS, f"the worker failed: {error!r}"
                    if what != told:
                        log.exception("the worker failed; another one takes its place")
                told = what
                self._stop.wait(pause)
                # One that has run cannot run again, and what it got wrong must not be taken over.
                self._sender = make_sender(self._app)
        except BaseException:
            log.critical("the worker ends", exc_info=True)
            raise
        finally:
            self._has_ended = True
            if not self._stop.is_set():
                self._on_end()


def _first_line(error: Exception) -> str:
    return redact(str(error).partition("\n")[0])


def make_sender(app: App) -> Sender:
    """A sender as the settings want it."""
    settings = app.settings
    relay = settings.smtp_url
    config = SendConfig(
        relay=RelayConfig(
            host=relay.host,
            port=relay.port,
            ehlo_name=settings.ehlo_name or socket.getfqdn(),
            tls=Tls(relay.tls),
            credentials=(
                Credentials(relay.user, relay.password.reveal())
                if relay.user is not None and relay.password is not None
                else None
            ),
            timeouts={
                step: settings.smtp_timeouts[step].total_seconds()
                for step in Step
                if step in settings.smtp_timeouts
            },
        ),
        retry=RetryPlan(settings.smtp_retry, settings.give_up_after),
        connections=settings.smtp_connections,
        messages_per_connection=settings.smtp_messages_per_connection,
        resend=settings.on_unknown == "resend",
        lease_seconds=settings.lease.total_seconds(),
        rate=(
            SendRate(settings.smtp_rate.count, settings.smtp_rate.span.total_seconds())
            if settings.smtp_rate is not None
            else None
        ),
    )
    composer = Composer(app.keys, settings.base_url, app.templates)
    return Sender(app.database, config, composer, times=app.times, alerts=app.alerts)


def send_until(
    app: App,
    digest_id: int,
    progress: Callable[[Counts], None],
    interrupted: Callable[[], bool],
) -> Standing:
    """Send in this process while a sender has something to do for this digest, and nobody interrupts.

    Other workers may help, and whatever else waits is sent too. At the end what is under way is
    finished, as when a worker is stopped.

    Args:
        progress: told now and then where the deliveries stand.
        interrupted: whether to stop before the end; asked several times a second.

    Returns:
        Where the digest stands at the end; `mailer.monitoring.digest_progress.why_not_sent` puts it in words.

    Raises:
        MailerError: the sender ended by itself.
    """
    standing = _standing(app, digest_id)
    progress(standing.counts)
    if not standing.goes_on:
        return standing
    worker = Worker(app)
    worker.start()
    try:
        while standing.goes_on and not interrupted():
            begun = app.times.monotonic()
            standing = _standing(app, digest_id)
            progress(standing.counts)
            now = app.times.monotonic()
            # Counting a million rows takes a while: it must not be most of what is done.
            next_look = now + max(PROGRESS_SECONDS, 10 * (now - begun))
            while standing.goes_on and not interrupted() and app.times.monotonic() < next_look:
                if not worker.lives(PROGRESS_SECONDS):
                    raise MailerError(
                        "the sender stopped unexpectedly; see the log, then run this again"
                    )
    finally:
        worker.stop()
    standing = _standing(app, digest_id)
    progress(standing.counts)
    return standing


def _standing(app: App, digest_id: int) -> Standing:
    with app.database.read() as session:
        return read_standing(session, digest_id, now=app.times.wall())
