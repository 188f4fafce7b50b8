"""Whatever a relay says, in whatever pieces: what it owns is what we were told, and nothing goes too far.

The relay here keeps the order of RFC 5321 and 2920, one reply for each command, and answers any code at
any step; a second test lets it say any bytes at all. It knows which mails it owns: those whose final dot
it took for a recipient it had taken.
"""

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import Answered, BodyWritten, Closed, Envelope, Event, Ready, Step

CODES = {
    "MAIL": [250, 250, 250, 250, 251, 354, 421, 450, 503, 550],
    "RCPT": [250, 250, 250, 251, 354, 421, 450, 452, 550, 554],
    "DATA": [354, 354, 354, 354, 250, 421, 451, 503, 554],
    "DOT": [250, 250, 250, 354, 421, 451, 552, 554],
    "RSET": [250, 250, 250, 421, 450, 500],
}

GOOD_START = b"250 x\r\n250 x\r\n354 x\r\n"


def body(number: int) -> bytes:
    return b"Subject: %d\r\n\r\nHello\r\n" % number


@dataclass
class Relay:
    """The other end. `codes` says what it answers next to each kind of command.

    Attributes:
        owned: the numbers of the mails that it took.
        nested: how often a MAIL came while another mail's transaction was open.
    """

    codes: dict[str, list[int]]
    offers_pipelining: bool
    owned: list[int] = field(default_factory=list)
    nested: int = 0
    closed: bool = False
    _in: bytes = b""
    _open: bool = False
    _reader: int | None = None
    _receiving: bool = False

    def hear(self, data: bytes) -> bytes:
        """Take in what the mailer says, and answer all that is whole."""
        self._in += data
        said = b""
        while not self.closed:
            if self._receiving:
                found = self._body()
                if found is None:
                    break
                said += self._dot(found)
                continue
            line, end, rest = self._in.partition(b"\r\n")
            if not end:
                break
            self._in = rest
            said += self._command(line)
        return said

    def _body(self) -> bytes | None:
        # The end may come at once, as it does for a mail without any line.
        whole, end, rest = (b"\r\n" + self._in).partition(b"\r\n.\r\n")
        if not end:
            return None
        self._in = rest
        self._receiving = False
        return (whole + b"\r\n")[2:]

    def _code(self, verb: str) -> int:
        left = self.codes[verb]
        code = left.pop(0) if left else CODES[verb][0]
        self.closed = code == 421
        return code

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].decode()
        if verb == "EHLO":
            return (
                b"250-relay\r\n250 PIPELINING\r\n" if self.offers_pipelining else b"250 relay\r\n"
            )
        if verb == "QUIT":
            self.closed = True
            return b"221 bye\r\n"
        code = self._code(verb)
        taken = code // 100 == 2
        if verb == "MAIL":
            self.nested += self._open
            self._open, self._reader = taken, None
        elif verb == "RCPT":
            number = int(line.partition(b"reader")[2].partition(b"@")[0])
            self._reader = number if taken and self._open else None
        elif verb == "DATA":
            self._receiving = code == 354
        elif verb == "RSET" and taken:
            self._open = False
        return self._reply(code)

    def _dot(self, found: bytes) -> bytes:
        code = self._code("DOT")
        if code // 100 == 2:
            if self._reader is None:
                assert found == b"", "a mail went to a relay that had no reader for it"
            else:
                assert found == body(self._reader), "one reader's mail went to another"
                self.owned.append(self._reader)
        self._open, self._reader = False, None
        return self._reply(code)

    @staticmethod
    def _reply(code: int) -> bytes:
        # Some in several lines, some with nothing but the code.
        return {0: b"%d\r\n", 1: b"%d-one\r\n%d two\r\n" % (code, code)}.get(
            code % 3, b"%d x\r\n"
        ).replace(b"%d", b"%d" % code)


@dataclass
class Seen:
    """What a sender knows in the end of the mails that it began."""

    begun: int = 0
    finished: list[int] = field(default_factory=list)
    answers: dict[int, Answered] = field(default_factory=dict)
    closed: Closed | None = None


def converse(
    relay: Relay, mails: int, pieces: list[int], behind: list[bool], given_up: int | None
) -> tuple[Conversation, Seen]:
    """Drives a conversation as a sender does.

    Args:
        pieces: how many bytes of the relay's words are read at a time.
        behind: whether the next mail is begun right after a final dot, where that is possible.
        given_up: the number of a mail whose final dot is never granted, as when its reader has left.
    """
    talk = Conversation("news.example.com")
    seen = Seen()
    in_hand: list[int] = []
    waiting = b"220 relay\r\n"

    def begin() -> None:
        if seen.begun < mails:
            seen.begun += 1
            in_hand.append(seen.begun)
            number = seen.begun
            talk.begin(Envelope("news@example.com", f"reader{number}@example.org"), body(number))

    def take_in(event: Event) -> bool:
        """False where the sender closes the connection."""
        if isinstance(event, Answered):
            number = in_hand.pop(0)
            assert number not in seen.answers
            seen.answers[number] = event
        elif event == Ready():
            assert not in_hand
            begin()
        elif event == BodyWritten():
            assert talk.step is Step.BLOCK
            if in_hand[0] == given_up:
                return False
            seen.finished.append(in_hand[0])
            talk.finish()
            if talk.pipelines and (behind.pop(0) if behind else True):
                begin()
        elif isinstance(event, Closed):
            seen.closed = event
        return True

    turns = 0
    while waiting and seen.closed is None:
        turns += 1
        assert turns < 10_000
        size = pieces.pop(0) if pieces else len(waiting)
        piece, waiting = waiting[:size], waiting[size:]
        for event in talk.receive(piece):
            assert seen.closed is None, "something happened after the end"
            if not take_in(event):
                relay.hear(talk.take())
                return talk, seen
        waiting += relay.hear(talk.take())
    return talk, seen


answers_drawn = st.fixed_dictionaries(
    {verb: st.lists(st.sampled_from(codes), max_size=12) for verb, codes in CODES.items()}
)
pieces_drawn = st.lists(st.integers(1, 40), max_size=60)


@given(
    codes=answers_drawn,
    offers=st.booleans(),
    mails=st.integers(1, 8),
    pieces=pieces_drawn,
    behind=st.lists(st.booleans(), max_size=8),
    given_up=st.none() | st.integers(1, 8),
)
@example(
    # A relay that says 354 without a reader, and 250 to the lone dot.
    codes={"MAIL": [], "RCPT": [550], "DATA": [], "DOT": [250, 250], "RSET": []},
    offers=True,
    mails=2,
    pieces=[],
    behind=[],
    given_up=None,
)
def test_what_a_relay_owns_is_what_it_said_and_each_mail_is_answered_once(
    codes: dict[str, list[int]],
    offers: bool,
    mails: int,
    pieces: list[int],
    behind: list[bool],
    given_up: int | None,
) -> None:
    relay = Relay({verb: list(given) for verb, given in codes.items()}, offers)
    talk, seen = converse(relay, mails, list(pieces), list(behind), given_up)

    accepted = [
        number
        for number, answer in seen.answers.items()
        if answer.step is Step.DOT and answer.reply.accepted
    ]
    # What we hold for delivered is what the relay owns; beyond that only what may be in doubt.
    unanswered = [number for number in range(1, seen.begun + 1) if number not in seen.answers]
    assert accepted == [number for number in relay.owned if number in seen.answers]
    assert set(relay.owned) <= set(seen.finished)
    assert len(set(relay.owned)) == len(relay.owned)
    # Nothing is delivered that was not finished, and no lone dot is anybody's delivery.
    assert all(
        number in seen.finished for number, one in seen.answers.items() if one.step is Step.DOT
    )
    # Every mail has its one answer, or the end of the connection is all that there is.
    if seen.closed is None and given_up not in unanswered:
        assert unanswered == []
        assert seen.begun == mails
        assert talk.step is None
    # At most the mail with its final dot out and the one behind it are left without an answer.
    assert len(unanswered) <= 2
    assert sum(number in seen.finished for number in unanswered) <= 1
    # A transaction that was refused half way is reset before the next MAIL.
    assert relay.nested == 0
    if given_up is not None:
        assert given_up not in relay.owned
        assert given_up not in seen.finished


@given(
    first=st.sampled_from([b"", GOOD_START]),
    said=st.lists(
        st.sampled_from([b"250 x\r\n", b"354 x\r\n", b"550 x\r\n", b"421 x\r\n", b"250-", b"\r\n"])
        | st.binary(max_size=6),
        max_size=40,
    ),
    offers=st.booleans(),
    pieces=pieces_drawn,
)
def test_no_words_of_a_relay_end_a_mail_that_was_not_finished(
    first: bytes, said: list[bytes], offers: bool, pieces: list[int]
) -> None:
    talk = Conversation("news.example.com")
    talk.receive(b"220 x\r\n")
    talk.receive(b"250-x\r\n250 PIPELINING\r\n" if offers else b"250 x\r\n")
    talk.take()
    data = first + b"".join(said)
    begun, answered, written, ended, wire = 0, 0, 0, False, b""

    def begin() -> None:
        nonlocal begun
        begun += 1
        talk.begin(Envelope("news@example.com", f"reader{begun}@example.org"), body(begun))

    begin()
    while data:
        size = pieces.pop(0) if pieces else len(data)
        piece, data = data[:size], data[size:]
        for event in talk.receive(piece):
            assert not ended
            answered += isinstance(event, Answered)
            # Without `finish` no final dot goes out, so no answer can be about one.
            assert not (isinstance(event, Answered) and event.step is Step.DOT)
            written += event == BodyWritten()
            ended = isinstance(event, Closed)
            if event == Ready():
                begin()
        wire += talk.take()
    assert answered <= begun
    assert written <= 1
    if written:
        # The body is the last that is said: whatever comes, its end is not.
        number = begun
        assert wire.endswith(body(number))
        assert answered == begun - 1
