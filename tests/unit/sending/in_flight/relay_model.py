"""The relay's end of a connection in plain Python. It knows which mails it owns, whatever we believe."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailer.sending.composer import OutgoingMail
from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import Closed, Envelope, Event, Ready
from mailer.sending.smtp.verdict import Lost

OK, SILENT, CUT, CUT_AFTER, BYE = range(-1, -6, -1)
"""How it answers a command, beside its refusals: as it should; not at all; it ends the connection before it
has done what it was asked, or afterwards and without a word; it says that it ends it."""

GOOD = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", "DOT": "250 ok", "RSET": "250 ok"}
REFUSALS = {
    "MAIL": ["550 5.1.8 sender", "451 4.1.8 sender", "451 4.3.0 system", "552 5.3.4 size", "530 5.7.0 login"],
    "RCPT": ["550 5.1.1 nobody", "450 4.2.1 later", "452 4.4.5 slower", "550 5.1.8 sender", "554 5.7.1 no"],
    "DATA": ["451 4.3.0 system", "554 5.7.1 policy"],
    "DOT": ["451 4.7.0 later", "554 5.7.1 policy", "552 5.2.2 full", "452 4.4.5 congested"],
    "RSET": ["500 what"],
}  # fmt: skip
MOODS = (SILENT, CUT, CUT_AFTER, BYE, *range(5))


@dataclass
class Relay:
    """What all connections together have told it.

    Attributes:
        owned: how often it took the mail of a row.
        refused: the rows that it refused, for now or for good.
        always: for a verb and how its argument begins, the number of a refusal that comes each time.
    """

    owned: Counter[int] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)
    always: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(eq=False)
class Wire:
    """A connection: our conversation, the bytes on their way in both directions, and what the relay knows.

    Attributes:
        mails: what we have begun on it and the relay has not answered, in this order.
        started: the mail whose final dot was sent and that is not answered.
    """

    number: int
    relay: Relay
    talk: Conversation
    mails: list[OutgoingMail] = field(default_factory=list)
    started: OutgoingMail | None = None
    is_cut: bool = False
    is_over: bool = False
    to_relay: bytes = b""
    to_us: bytes = b""
    _sender: str = ""
    _reader: int | None = None
    _is_receiving: bool = False

    @classmethod
    def open(cls, number: int, relay: Relay, *, pipelines: bool) -> "Wire":
        """A connection on which a mail may begin."""
        talk = Conversation("news.example.com")
        talk.receive(b"220 relay\r\n")
        talk.take()
        hello = b"250-relay\r\n250 PIPELINING\r\n" if pipelines else b"250 relay\r\n"
        assert any(isinstance(event, Ready) for event in talk.receive(hello))
        return cls(number, relay, talk)

    def begin(self, mail: OutgoingMail) -> None:
        """Hand a mail to the conversation, as the loop does."""
        self.mails.append(mail)
        reader = Envelope(mail.compiled.sender, mail.address)
        self.talk.begin(reader, b"Subject: x\r\n\r\nHello\r\n")

    def flush(self) -> None:
        """Put what we say on the way."""
        self.to_relay += self.talk.take()

    def hear(self, moods: Sequence[int] = ()) -> None:
        """Let the relay read all that is on the way, and answer the commands in these moods."""
        left = list(moods)
        while not self.is_cut and (found := self._next()) is not None:
            verb, argument, rest = found
            mood = left.pop(0) if left else OK
            if mood == SILENT:
                return
            if mood == CUT:
                self.is_cut = True
                return
            self.to_relay = rest
            reply = self._do(verb, argument, mood)
            if mood == CUT_AFTER:
                self.is_cut = True
                return
            self.to_us += reply.encode() + b"\r\n"
            if mood == BYE or verb == "QUIT":
                self.is_cut = True

    def _next(self) -> tuple[str, str, bytes] | None:
        if self._is_receiving:
            _, end, rest = (b"\r\n" + self.to_relay).partition(b"\r\n.\r\n")
            return ("DOT", "", rest) if end else None
        line, end, rest = self.to_relay.partition(b"\r\n")
        verb, _, argument = line.decode().partition(" ")
        argument = argument.partition("<")[2]
        return (verb, argument, rest) if end else None

    def _do(self, verb: str, argument: str, mood: int) -> str:
        if verb == "QUIT":
            return "221 bye"
        if mood == BYE:
            return "421 4.3.2 bye"
        for (of_verb, beginning), number in self.relay.always.items():
            if verb == of_verb and argument.startswith(beginning):
                mood = number
        is_good = mood < 0
        if verb == "MAIL":
            self._sender, self._reader = argument if is_good else "", None
        reader = self._reader
        if verb == "RCPT":
            reader = int(argument.removeprefix("reader").partition("@")[0])
            self._reader = reader if is_good and self._sender else None
        if verb == "DATA":
            is_good = is_good and reader is not None
            self._is_receiving = is_good
            mood = mood if is_good or mood >= 0 else 0
        if verb == "DOT":
            self._is_receiving, self._sender, self._reader = False, "", None
            if is_good and reader is not None:
                self.relay.owned[reader] += 1
        if verb == "RSET":
            self._sender, self._reader = "", None
        if is_good:
            return GOOD[verb]
        if verb == "MAIL":
            reader = int(argument.partition("@")[0].partition("-")[2])
        if reader is not None:
            self.relay.refused.add(reader)
        return REFUSALS[verb][mood % len(REFUSALS[verb])]

    def receive(self) -> list[Event]:
        """Read what the relay has said: what happened, in order. A mail that is answered leaves `mails`."""
        said, self.to_us = self.to_us, b""
        events = self.talk.receive(said) if said else []
        if self.is_cut and not (events and isinstance(events[-1], Closed)):
            events.append(Closed(self.talk.step, None, Lost.DROP))
        self.flush()
        self.is_over = bool(events) and isinstance(events[-1], Closed)
        return events

    def late(self) -> list[Event]:
        """The relay has not answered in time."""
        self.is_over = True
        return [Closed(self.talk.step, None, Lost.TIMEOUT)]
