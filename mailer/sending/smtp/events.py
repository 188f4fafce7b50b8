"""Defines the steps of an SMTP conversation with their timeouts, what goes in, and the events that come out.

Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from mailer.errors import BadAddress
from mailer.sending.smtp.reply import Reply


class Step(StrEnum):
    """What the relay was asked: each reply, drop or timeout belongs to one of these.

    `CONNECT` comes before the conversation. `BLOCK` is the body, between 354 and the final dot.
    """

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BLOCK = "block"
    DOT = "dot"
    RSET = "rset"
    QUIT = "quit"


TIMEOUTS: Final[Mapping[Step, float]] = MappingProxyType(
    {
        # RFC 5321 section 4.5.3.2. It names no value for connecting, TLS, AUTH, RSET and QUIT.
        Step.CONNECT: 60.0,
        Step.GREETING: 300.0,
        Step.EHLO: 300.0,
        Step.STARTTLS: 120.0,
        Step.AUTH: 120.0,
        Step.MAIL: 300.0,
        Step.RCPT: 300.0,
        Step.DATA: 120.0,
        Step.BLOCK: 180.0,
        Step.DOT: 600.0,
        Step.RSET: 60.0,
        Step.QUIT: 10.0,
    }
)
"""Seconds to wait for the relay at each step."""


class Tls(StrEnum):
    """How a connection is protected. Except with `NONE` the certificate is always verified."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@dataclass(frozen=True)
class Credentials:
    """What we log in to the relay with."""

    user: str
    password: str = field(repr=False)


# A quoted local part may hold a blank or "<", and we refuse those too: nothing that ends the path early,
# and no CR or LF, may ever be inside a command.
_ENDS_A_PATH = re.compile("[\\x00-\\x20<>\\x7f-\\x9f]")


@dataclass(init=False, slots=True)
class Envelope:
    """The sender and the recipient that the relay is told. Domains are A-labels.

    Raises:
        BadAddress: one of the two would be more than an address on the wire.
    """

    sender: str
    recipient: str

    def __init__(self, sender: str, recipient: str) -> None:
        if "@" not in sender or "@" not in recipient or _ENDS_A_PATH.search(sender + recipient):
            raise BadAddress("this address cannot be written in an SMTP command")
        self.sender = sender
        self.recipient = recipient

    @property
    def needs_utf8(self) -> bool:
        """Whether only a relay with SMTPUTF8 can take it (RFC 6531)."""
        return not (self.sender + self.recipient).isascii()


@dataclass(frozen=True)
class StartTls:
    """Start TLS now, then call `tls_started`."""


@dataclass(frozen=True)
class Ready:
    """The relay awaits a mail: call `begin`, or `quit`."""


@dataclass(frozen=True)
class BodyWritten:
    """All of the mail but its final dot has been handed out: call `finish`, or close the connection."""


class Answered(NamedTuple):
    """The relay has answered for the mail in hand, at this step; nothing follows for this mail."""

    step: Step
    reply: Reply


@dataclass(frozen=True)
class Closed:
    """The connection cannot be used any more. A mail without an answer got as far as `step`."""

    step: Step | None
    reply: Reply | None
    reason: str


Event = StartTls | Ready | BodyWritten | Answered | Closed
