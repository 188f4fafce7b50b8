"""Opens a connection to the relay as a worker does, logs in, and closes it. Never begins a mail."""

import socket
from dataclasses import replace
from typing import Final

from mailer.doctor.relay import RelayAnswer
from mailer.sending.smtp.connection import RelayConfig, connect
from mailer.sending.smtp.verdict import Unopened

_STEP_SECONDS: Final = 10.0
"""A person is waiting; a worker waits longer."""
_ANYWHERE: Final = ("192.0.2.1", 9)
"""An address for examples (RFC 5737), to which nothing is sent."""


def probe_relay(relay: RelayConfig) -> RelayAnswer:
    """Connect, start TLS and log in, as far as the settings say so."""
    timeouts = {step: min(seconds, _STEP_SECONDS) for step, seconds in relay.timeouts.items()}
    opened = connect(replace(relay, timeouts=timeouts))
    if isinstance(opened, Unopened):
        return RelayAnswer(opened.step, opened.reason)
    conversation = opened.conversation
    answer = RelayAnswer(
        capabilities=conversation.capabilities,
        greeting=conversation.greeting,
        certificate_until=opened.certificate_until,
    )
    conversation.quit()
    opened.flush()
    opened.close()
    return answer


def own_address() -> str | None:
    """Find the address from which this machine reaches the internet; None if it has none."""
    # Connecting a UDP socket chooses a route, and sends nothing.
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_ANYWHERE)
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return None
