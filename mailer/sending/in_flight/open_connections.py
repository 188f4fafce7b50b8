"""Says which mail each open connection of a sender has in hand, and how far that mail is.

Pure. Decides nothing about mails: `mailer.sending.in_flight.owner` does.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailer.ledger.transitions import RowId
from mailer.sending.composer import OutgoingMail
from mailer.sending.in_flight.events import Opened
from mailer.sending.smtp.verdict import Unopened

IDLE_SECONDS: Final = 10.0
"""How long a connection is kept without a mail."""

IDLE_CHECK_SECONDS: Final = 1.0

MOST_OPENING: Final = 4
"""How many connections are opened at a time."""


class Phase(Enum):
    """How far the mail in hand on a connection is."""

    FREE = "free"
    """There is none, and one may begin."""
    ENDING = "ending"
    """It has ended, and the relay has yet to answer RSET."""
    BEGUN = "begun"
    WRITTEN = "written"
    """The relay has all of it but the final dot."""
    STARTING = "starting"
    """Its start is in the commit under way."""
    STARTED = "started"
    """The ledger says `sending`, and the final dot was sent: the relay may own it."""


@dataclass(eq=False, slots=True)
class OpenConnection:
    """A connection and the mails that it has in hand.

    Attributes:
        mail: the one that the relay has to answer for next.
        next_mail: begun in the write that ended `mail` (RFC 2920).
        may_be_recorded: whether a commit that failed may have recorded the start of `mail`.
        served: how many mails the relay has answered on it.
        is_leaving: whether we have said QUIT, or it is to be closed after the answer to a final dot.
    """

    id: int
    pipelines: bool
    idle_since: float
    mail: OutgoingMail | None = None
    next_mail: OutgoingMail | None = None
    phase: Phase = Phase.FREE
    may_be_recorded: bool = False
    served: int = 0
    is_leaving: bool = False

    @property
    def is_start_unsure(self) -> bool:
        """Whether nobody knows if the ledger has the start of `mail`. No final dot was sent."""
        return self.phase is Phase.STARTING or (
            self.may_be_recorded and self.phase is not Phase.STARTED
        )

    @property
    def is_free(self) -> bool:
        """Whether a mail may begin on it."""
        return self.phase is Phase.FREE and not self.is_leaving


class OpenConnections:
    """The connections of one sender, by their numbers, and those that are being opened."""

    def __init__(self) -> None:
        self._connections: dict[int, OpenConnection] = {}
        self._unopened: list[Unopened] = []
        self._awaiting_start: dict[OpenConnection, None] = {}
        self._check_idle_after = 0.0
        self.opening = 0

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[OpenConnection]:
        return iter(list(self._connections.values()))

    @property
    def ids(self) -> frozenset[int]:
        """The numbers of all that are open."""
        return frozenset(self._connections)

    @property
    def busy(self) -> list[OpenConnection]:
        """Those with a mail in hand."""
        return [one for one in self._connections.values() if one.mail is not None]

    @property
    def awaits_answer(self) -> bool:
        """Whether the relay has yet to answer for a mail whose final dot was sent."""
        return any(one.phase is Phase.STARTED for one in self._connections.values())

    @property
    def free(self) -> list[OpenConnection]:
        """Those on which a mail may begin."""
        return [one for one in self._connections.values() if one.is_free]

    @property
    def mails(self) -> list[OutgoingMail]:
        """All mails in hand."""
        return [
            mail
            for one in self._connections.values()
            for mail in (one.mail, one.next_mail)
            if mail is not None
        ]

    @property
    def rows(self) -> list[RowId]:
        """The ledger's rows of all mails in hand."""
        return [mail.claim.row for mail in self.mails]

    def get(self, number: int) -> OpenConnection | None:
        """Return the connection with this number, if it is still open."""
        return self._connections.get(number)

    def on_opened(self, opened: Opened, now: float) -> None:
        """Take in a connection that was opened."""
        self.opening -= 1
        connection = OpenConnection(opened.connection, opened.pipelines, now)
        self._connections[connection.id] = connection

    def on_unopened(self, failure: Unopened) -> None:
        """Note that a connection could not be opened."""
        self.opening -= 1
        self._unopened.append(failure)

    def remove(self, connection: OpenConnection) -> None:
        """Forget a connection that is closed."""
        del self._connections[connection.id]
        self._awaiting_start.pop(connection, None)

    def take_off(self, connection: OpenConnection) -> None:
        """Take the mail in hand off a connection: it has ended. The next one takes its place."""
        self._awaiting_start.pop(connection, None)
        connection.mail, connection.next_mail = connection.next_mail, None
        connection.may_be_recorded = False
        connection.phase = Phase.ENDING if connection.mail is None else Phase.BEGUN
        connection.served += 1

    @property
    def awaiting_start(self) -> Collection[OpenConnection]:
        """Those on which the relay has all of the mail but the final dot, in the order of that."""
        return self._awaiting_start

    def written(self, connection: OpenConnection) -> None:
        """Note that the relay has all of the mail in hand but the final dot."""
        connection.phase = Phase.WRITTEN
        self._awaiting_start[connection] = None

    def start(self, starting: Iterable[OpenConnection]) -> None:
        """Note that the starts of these mails are in the commit under way."""
        for connection in starting:
            connection.phase = Phase.STARTING
            del self._awaiting_start[connection]

    def unstart(self, starting: Iterable[OpenConnection]) -> None:
        """Note that nobody knows whether these starts are recorded: they are to be tried again."""
        for connection in starting:
            if connection.phase is Phase.STARTING and connection.id in self._connections:
                connection.may_be_recorded = True
                self.written(connection)

    def judgeable_failures(self) -> list[Unopened]:
        """Return why connections could not be opened, once, as soon as that can be judged.

        A refusal takes fewer exchanges than an admission. So while nothing is open, failures are returned
        only when all results are known: the relay may allow just fewer connections.
        """
        if self.opening and not self._connections:
            return []
        failures, self._unopened = self._unopened, []
        return failures

    def to_open(self, wanted: int) -> int:
        """Return how many to open now, and count them as being opened.

        Args:
            wanted: how many more are needed, those that are being opened included.
        """
        if self._unopened:
            # Whether the relay allows more is not known yet.
            return 0
        number = max(0, min(wanted, MOST_OPENING) - self.opening)
        self.opening += number
        return number

    def to_quit(self, most: int, now: float) -> list[OpenConnection]:
        """Return free connections that are not needed: idle for long, or beyond `most`."""
        too_many = len(self._connections) - most
        if too_many <= 0 and now < self._check_idle_after:
            return []
        self._check_idle_after = now + IDLE_CHECK_SECONDS
        return [
            one
            for number, one in enumerate(self.free)
            if number < too_many or one.idle_since < now - IDLE_SECONDS
        ]
