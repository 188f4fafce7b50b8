"""Opens connections to the relay: sockets, TLS, and the conversation until a mail may begin.

Opening blocks, in a thread of its caller; an opened connection never does. What is sent over it is not
decided here.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import (
    TIMEOUTS,
    Closed,
    Credentials,
    Event,
    Ready,
    StartTls,
    Step,
    Tls,
)
from mailer.sending.smtp.verdict import Lost, Unopened

_READ_BYTES = 4096
"""Replies are short, and a larger buffer would be allocated each time."""
_SEND_BUFFER_BYTES = 256 * 1024
"""A whole mail fits, so that the system takes it in one call."""


@dataclass(frozen=True)
class RelayConfig:
    """Where the relay is and how to talk to it; `timeouts` are seconds for every step."""

    host: str
    port: int
    ehlo_name: str
    tls: Tls = Tls.NONE
    credentials: Credentials | None = None
    timeouts: Mapping[Step, float] = field(default_factory=lambda: TIMEOUTS)


class Connection:
    """A socket that never blocks, and the conversation on it."""

    def __init__(self, sock: socket.socket, conversation: Conversation) -> None:
        self.conversation = conversation
        self._sock = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._unsent: bytes | memoryview = b""

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()

    @property
    def certificate_until(self) -> datetime | None:
        """When the relay's certificate expires, in UTC; None without TLS."""
        if not isinstance(self._sock, ssl.SSLSocket):
            return None
        until = (self._sock.getpeercert() or {}).get("notAfter")
        if not isinstance(until, str):
            return None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)

    @property
    def flushed(self) -> bool:
        """Whether the system has taken all that was said."""
        return not self._unsent

    def receive(self) -> list[Event]:
        """Read what has come and return what happened; a `Closed` is the last event."""
        events: list[Event] = []
        while not (events and isinstance(events[-1], Closed)):
            try:
                data = self._sock.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                events.append(self._lost(_explain(error)))
                break
            if not data:
                events.append(self._lost(Lost.DROP))
                break
            events += self.conversation.receive(data)
            if len(data) < _READ_BYTES and not self._is_tls:
                # That was all. TLS may have decrypted more than it gave us, without another event.
                break
        return events

    def flush(self) -> bool:
        """Write what the conversation has to say. Return False if some of it must wait.

        `receive` notices a connection that breaks meanwhile: it first reads what the relay may have said
        before that.
        """
        said = self.conversation.take()
        if said:
            self._unsent = bytes(self._unsent) + said if self._unsent else said
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent)
                # A view, so that the rest is not copied; mostly there is none.
                self._unsent = memoryview(self._unsent)[sent:] if sent < len(self._unsent) else b""
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._unsent = b""
        return True

    def close(self) -> None:
        """Close the socket, whatever is going on."""
        self._sock.close()

    def _lost(self, reason: str) -> Closed:
        return Closed(self.conversation.step, None, reason)


def connect(relay: RelayConfig, context: ssl.SSLContext | None = None) -> Connection | Unopened:
    """Open a connection on which a mail may begin. Blocks, but at no step longer than its timeout.

    Args:
        context: instead of the system's certificate authorities; it must verify names too.
    """
    conversation = Conversation(
        relay.ehlo_name, starttls=relay.tls is Tls.STARTTLS, credentials=relay.credentials
    )
    step = Step.CONNECT
    try:
        sock = socket.create_connection(
            (relay.host, relay.port), timeout=relay.timeouts[Step.CONNECT]
        )
    except OSError as error:
        return _unopened(step, error)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if relay.tls is Tls.IMPLICIT:
            step = Step.STARTTLS
            sock = _with_tls(sock, relay, context)
        while True:
            step = conversation.step or step
            sock.settimeout(relay.timeouts[step])
            sock.sendall(conversation.take())
            data = sock.recv(_READ_BYTES)
            if not data:
                sock.close()
                return Unopened(step, Lost.DROP, Lost.DROP)
            for event in conversation.receive(data):
                if isinstance(event, StartTls):
                    step = Step.STARTTLS
                    sock = _with_tls(sock, relay, context)
                    conversation.tls_started()
                elif isinstance(event, Closed):
                    sock.close()
                    return Unopened(event.step or step, event.reply or Lost.DROP, event.reason)
                elif isinstance(event, Ready):
                    sock.setblocking(False)
                    return Connection(sock, conversation)
    except OSError as error:
        sock.close()
        return _unopened(step, error)


def _with_tls(
    sock: socket.socket, relay: RelayConfig, context: ssl.SSLContext | None
) -> ssl.SSLSocket:
    # Not as smtplib does it: without a context of this kind nothing is verified.
    context = context or ssl.create_default_context()
    sock.settimeout(relay.timeouts[Step.STARTTLS])
    return context.wrap_socket(sock, server_hostname=relay.host)


def _unopened(step: Step, error: OSError) -> Unopened:
    lost = Lost.TIMEOUT if isinstance(error, TimeoutError) else Lost.DROP
    return Unopened(step, lost, _explain(error))


def _explain(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return Lost.TIMEOUT
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the relay's certificate is not valid: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__
