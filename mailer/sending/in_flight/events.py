"""Defines what happens to the mails in flight, and what is to be done about them.

Pure. `mailer.sending.in_flight.owner` takes events and returns actions; `mailer.sending.send_loop` does them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from mailer.sending.composer import OutgoingMail, Unsendable
from mailer.sending.in_flight.commit import Claimed, Commit, CommitFailed, Committed, Looked
from mailer.sending.smtp.events import Event
from mailer.sending.smtp.verdict import Unopened


class Moment(NamedTuple):
    """When a step is made, by both clocks, and as which worker.

    Attributes:
        is_alive: whether no other worker can consider this one dead yet.
        worker_id: which worker we are. One that was considered dead lives on as another.
    """

    wall: datetime
    monotonic: float
    is_alive: bool
    worker_id: int


class Happened(NamedTuple):
    """An event of the conversation on a connection. `BodyWritten`: all but the final dot has left us."""

    connection: int
    event: Event


class Opened(NamedTuple):
    """A connection was opened, and a mail may begin on it.

    Attributes:
        pipelines: whether the next mail may begin behind the final dot of the one before.
    """

    connection: int
    pipelines: bool


class NotComposed(NamedTuple):
    """A mail that was to begin cannot be handed to the relay. Nothing of it was."""

    connection: int
    reason: Unsendable


class DotWithheld(NamedTuple):
    """A final dot was not sent, because others may consider this worker dead by now."""

    connection: int


class Wake(NamedTuple):
    """There may be work: look at once."""


class Stop(NamedTuple):
    """Begin nothing more, and finish what is under way."""


class Fault(NamedTuple):
    """A fault of ours ended a step or its actions half way.

    Attributes:
        dotted: the connections on which the answer to a final dot is awaited next.
        opening: how many connections are being opened.
    """

    dotted: frozenset[int]
    opening: int


SendEvent = (
    Happened
    | Opened
    | Unopened
    | NotComposed
    | DotWithheld
    | Wake
    | Stop
    | Fault
    | Committed
    | Claimed
    | CommitFailed
    | Looked
)


class Begin(NamedTuple):
    """Begin this mail: hand all but its final dot to the relay."""

    connection: int
    mail: OutgoingMail


class FinalDot(NamedTuple):
    """Send the final dot: from now on the relay may own the mail."""

    connection: int


class Quit(NamedTuple):
    """Say QUIT on a connection without a mail."""

    connection: int


class Close(NamedTuple):
    """Close a connection, whatever is going on."""

    connection: int


Write = Begin | FinalDot | Quit | Close


class Actions(NamedTuple):
    """What is to be done after a step.

    Attributes:
        writes: on the connections, in this order.
        commit: to be begun; its `Committed`, and its `Claimed` if it claims, come in as events, or
            `CommitFailed`.
        open: how many more connections to open; each comes in as `Opened` or `Unopened`.
        look: whether to ask the ledger if work waits; the answer comes in as `Looked`.
        wait_seconds: when the next step is due, if nothing happens before.
    """

    writes: Sequence[Write]
    commit: Commit | None
    open: int
    look: bool
    wait_seconds: float
