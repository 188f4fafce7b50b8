"""Runs the worker role: the send loop in a thread, until it is stopped and drained.

Also sends in the foreground, for a command that waits for a digest. Decides nothing about mails.
"""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from mailer.app import App
from mailer.errors import MailerError
from mailer.ledger.digest_state import Counts
from mailer.monitoring.digest_progress import Standing, read_standing
from mailer.sending.composer import Composer
from mailer.sending.config import SendConfig
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.in_flight.owner import DRAIN_SECONDS, LAST_RECORD_SECONDS
from mailer.sending.send_loop import Sender
from mailer.text.untrusted import redact

log = logging.getLogger(__name__)

STOP_SECONDS = DRAIN_SECONDS + LAST_RECORD_SECONDS + 2.0
"""A stopped worker ends within this (30 s), whatever the relay and the database do."""

RESTART_SECONDS = 1.0
"""How soon the worker tries again to start if the database cannot be used."""

FAULT_SECONDS = 30.0
"""How soon a new sender replaces one that failed through a fault of ours."""

PROGRESS_SECONDS = 0.2


class Worker:
    """Sends what waits, in a thread of its own. Not the row of the table of workers.

    Args:
        on_end: called in that thread if it ends by itself.

    Attributes:
        has_ended: whether nothing is sent any more. If that is so before `stop`, it ended by itself.
    """

    def __init__(self, app: App, on_end: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._on_end = on_end
        self._sender = make_sender(app)
        self.has_ended = False
        self._stop = threading.Event()
        self._stopped_at = 0.0
        # A daemon: nothing that hangs may keep the process from ending in time.
        self._thread = threading.Thread(target=self._run, name="sending", daemon=True)

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait until all that is under way is finished: at most 30 s."""
        self.stop_soon()
        self.join()

    def stop_soon(self) -> None:
        """Begin nothing more. Does not wait."""
        if not self._stop.is_set():
            self._stopped_at = self._app.times.monotonic()
        self._stop.set()
        self._sender.wake()

    def join(self) -> None:
        """Wait until all that is under way is finished: at most 30 s from `stop_soon`."""
        self._thread.join(max(0.0, self._stopped_at + STOP_SECONDS - self._app.times.monotonic()))
        if self._thread.is_alive():
            log.error("the worker did not end in time; the mails that it was sending are in doubt")

    def lives(self, seconds: float) -> bool:
        """Wait up to so many seconds for the end. Return whether it still runs."""
        self._thread.join(seconds)
        return self._thread.is_alive()

    def _run(self) -> None:
        last_fault = ""
        try:
            while not self._stop.is_set():
                try:
                    self._sender.run(self._stop)
                    continue
                except SQLAlchemyError as error:
                    pause, fault = RESTART_SECONDS, redact(str(error).partition("\n")[0])
                    if fault != last_fault:
                        log.error("the worker cannot start: %s; it will try again", fault)
                except Exception as error:
                    pause, fault = FAULT_SECONDS, repr(error)
                    if fault != last_fault:
                        log.exception("the worker failed; another one takes its place")
                last_fault = fault
                self._stop.wait(pause)
                # A sender cannot run twice, and what it got wrong must not be taken over.
                self._sender = make_sender(self._app)
        except BaseException:
            log.critical("the worker ends", exc_info=True)
            raise
        finally:
            self.has_ended = True
            if not self._stop.is_set():
                self._on_end()


def make_sender(app: App) -> Sender:
    """Make a sender from the settings."""
    settings = app.settings
    config = SendConfig(
        relay=app.relay_config,
        retry=RetryPlan(settings.smtp_retry, settings.give_up_after),
        connections=settings.smtp_connections,
        messages_per_connection=settings.smtp_messages_per_connection,
        resend=settings.on_unknown == "resend",
        lease_seconds=settings.lease.total_seconds(),
        rate=settings.smtp_rate,
    )
    composer = Composer(
        app.keys,
        settings.base_url,
        app.templates,
        options=app.mail_options,
        dkim_signer=app.dkim_signer,
    )
    return Sender(app.database, config, composer, times=app.times, alerts=app.alerts)


def send_until(
    app: App,
    digest_id: int,
    progress: Callable[[Counts], None],
    interrupted: Callable[[], bool],
) -> Standing:
    """Send in this process while there is something to do for this digest, and nobody interrupts.

    Other workers may help, and whatever else waits is sent too. At the end all that is under way is
    finished, as when a worker is stopped.

    Args:
        progress: called now and then with the counts of the deliveries.
        interrupted: whether to stop before the end; called several times a second.

    Returns:
        Where the digest stands at the end; `monitoring.digest_progress.why_not_sent` puts it in words.

    Raises:
        MailerError: the sender ended by itself.
    """

    def look() -> Standing:
        with app.database.read() as session:
            standing = read_standing(session, digest_id, now=app.times.wall())
        progress(standing.counts)
        return standing

    standing = look()
    if not standing.goes_on:
        return standing
    worker = Worker(app)
    worker.start()
    try:
        while standing.goes_on and not interrupted():
            began_at = app.times.monotonic()
            standing = look()
            now = app.times.monotonic()
            # Counting a million rows takes a while: it must not be most of what is done.
            next_look = now + max(PROGRESS_SECONDS, 10 * (now - began_at))
            while standing.goes_on and not interrupted() and app.times.monotonic() < next_look:
                if not worker.lives(PROGRESS_SECONDS):
                    raise MailerError(
                        "the sender stopped unexpectedly; see the log, then run this again"
                    )
    finally:
        worker.stop()
    return look()
