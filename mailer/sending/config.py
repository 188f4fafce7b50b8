"""Holds how a sender sends: values that `mailer.worker` takes from the settings. Pure."""

from dataclasses import dataclass

from mailer.rate import Rate
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.smtp.connection import RelayConfig


@dataclass(frozen=True)
class SendConfig:
    """How a sender sends.

    Attributes:
        connections: to the relay, at most.
        messages_per_connection: before it is closed and another one is opened.
        resend: whether a mail in doubt is sent once more.
        lease_seconds: how long this worker may be silent before others take its rows over.
        rate: of all workers together; None: as fast as the relay takes them.
    """

    relay: RelayConfig
    retry: RetryPlan
    connections: int = 10
    messages_per_connection: int = 100
    resend: bool = True
    lease_seconds: float = 60.0
    rate: Rate | None = None
