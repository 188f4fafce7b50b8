"""Holds the SMTP conversation with a relay (RFC 5321) as a state machine: bytes in, events and bytes out.

Pure: no socket, no clock, no ledger. It stops before the final dot of each mail until `finish` is
called, because the ledger must know about the attempt before the relay can own the mail. If the relay
offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go out together, behind the last mail's final dot.
"""

import base64
from collections import deque
from collections.abc import Callable

from mailer.errors import Refused
from mailer.sending.smtp.capabilities import Capabilities, capabilities
from mailer.sending.smtp.events import (
    Answered,
    BodyWritten,
    Closed,
    Credentials,
    Envelope,
    Event,
    Ready,
    StartTls,
    Step,
)
from mailer.sending.smtp.reply import Reply, ReplyReader, Unreadable

_GROUP = (Step.MAIL, Step.RCPT, Step.DATA)
_READY = Ready()
_BODY_WRITTEN = BodyWritten()


class Conversation:
    """The conversation on one connection, from the greeting to QUIT, one mail after the other.

    Bytes from the relay go into `receive`, which returns what happened; bytes for the relay come out
    of `take`. Each reply is matched with the oldest step that awaits one.

    Args:
        ehlo_name: how we introduce ourselves (RFC 5321 section 4.1.1.1).
        starttls: whether TLS is started with STARTTLS; without it nothing else is said.
        credentials: what to log in with; None: do not log in.

    Attributes:
        capabilities: what the relay offers.
        greeting: how it introduced itself; "" before it has.

    Raises:
        Refused: `ehlo_name` is not a host name or address literal.
    """

    def __init__(
        self, ehlo_name: str, *, starttls: bool = False, credentials: Credentials | None = None
    ) -> None:
        if not ehlo_name.isascii() or not ehlo_name.isprintable() or " " in ehlo_name:
            raise Refused("ehlo_name must be a host name, such as mail.example.com")
        self._name = ehlo_name.encode("ascii")
        self._starttls = starttls
        self._credentials = credentials
        self._says_ehlo = True
        self._replies = ReplyReader()
        self._awaited: deque[Step] = deque([Step.GREETING])
        self._login_answers: deque[bytes] = deque()
        self._out: list[bytes] = []
        self._rcpt = b""
        self._body = b""
        self._holds_dot = False
        # Replies are read until the transaction of a mail that was refused has ended.
        self._is_refused = False
        self._is_closed = False
        self.capabilities = Capabilities()
        self.greeting = ""
        self._handlers: dict[Step, Callable[[Reply], list[Event]]] = {
            Step.GREETING: self._on_greeting,
            Step.EHLO: self._on_ehlo,
            Step.STARTTLS: self._on_starttls,
            Step.AUTH: self._on_auth,
            Step.MAIL: self._on_mail,
            Step.RCPT: self._on_rcpt,
            Step.DATA: self._on_data,
            Step.DOT: self._on_dot,
            Step.RSET: self._on_rset,
            Step.QUIT: self._on_quit,
        }

    @property
    def step(self) -> Step | None:
        """The step whose reply is awaited; `BLOCK` between 354 and `finish`; None when idle."""
        if self._holds_dot:
            return Step.BLOCK
        return self._awaited[0] if self._awaited else None

    @property
    def pipelines(self) -> bool:
        """Whether the next mail may begin right after `finish`, before the relay has answered."""
        return self.capabilities.pipelining

    def take(self) -> bytes:
        """Return the bytes to write to the relay now; they are handed out once."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        """Return what `data` from the relay makes happen, in order. After `Closed` nothing more does."""
        events: list[Event] = []
        if self._is_closed:
            return events
        try:
            for reply in self._replies.read(data):
                events += self._on_reply(reply)
                if self._is_closed:
                    break
        except Unreadable as error:
            events += self._close(None, str(error))
        return events

    def tls_started(self) -> None:
        """Continue over TLS: all that was learned in plain text is forgotten (RFC 3207 section 4.2)."""
        self._starttls = False
        self._say_ehlo()

    def begin(self, envelope: Envelope, body: bytes) -> None:
        """Begin the next mail: when `step` is None and, if it `pipelines`, after `finish` too.

        Args:
            envelope: must not need SMTPUTF8 if the relay does not offer it.
            body: the complete mail with CRLF line ends. No line of it begins with a dot and the last one is
                complete, as `CompiledMail.render` guarantees: nothing is dot-stuffed.
        """
        utf8 = " SMTPUTF8 BODY=8BITMIME" if envelope.needs_utf8 else ""
        size = f" SIZE={len(body)}" if self.capabilities.offers("SIZE") else ""
        mail = f"MAIL FROM:<{envelope.sender}>{size}{utf8}"
        rcpt = f"RCPT TO:<{envelope.recipient}>"
        self._body = body
        if self.capabilities.pipelining:
            self._awaited += _GROUP
            self._out.append(f"{mail}\r\n{rcpt}\r\nDATA\r\n".encode())
        else:
            self._say(Step.MAIL, mail.encode())
            self._rcpt = rcpt.encode()

    def finish(self) -> None:
        """Hand out the final dot: from now on the relay may own the mail."""
        self._holds_dot = False
        self._say_dot()

    def quit(self) -> None:
        """Say QUIT; possible between mails only."""
        self._say(Step.QUIT, b"QUIT")

    def _say(self, step: Step, line: bytes) -> None:
        self._awaited.append(step)
        self._out.append(line + b"\r\n")

    def _close(self, reply: Reply | None, reason: str, step: Step | None = None) -> list[Event]:
        self._is_closed = True
        return [Closed(step or self.step, reply, reason)]

    def _say_dot(self) -> None:
        self._say(Step.DOT, b".")

    def _on_reply(self, reply: Reply) -> list[Event]:
        if self._holds_dot or not self._awaited:
            # Nothing was asked. A relay says 421 when it shuts down or is tired of waiting.
            return self._close(reply, f"the relay ended the connection: {reply}")
        step = self._awaited[0]
        if reply.code == 421:
            answers_mail = (
                step in (Step.MAIL, Step.RCPT, Step.DATA, Step.DOT) and not self._is_refused
            )
            answered: list[Event] = [Answered(step, reply)] if answers_mail else []
            return answered + self._close(reply, f"the relay is not available: {reply}")
        events = self._handlers[step](reply)
        if not self._is_closed:
            self._awaited.popleft()
        return events

    def _unexpected(self, step: Step, reply: Reply) -> list[Event]:
        # A code that cannot follow here: we no longer know what the relay is doing.
        return self._close(None, f"the relay answered {reply.code} to {step.upper()}")

    def _refused(self, step: Step, reply: Reply) -> list[Event]:
        return self._close(reply, f"the relay refused {step.upper()}: {reply}")

    def _on_greeting(self, reply: Reply) -> list[Event]:
        if not reply.accepted:
            return self._refused(Step.GREETING, reply)
        self.greeting = reply.text
        self._say_ehlo()
        return []

    def _say_ehlo(self) -> None:
        self._login_answers = deque()
        self.capabilities = Capabilities()
        self._says_ehlo = True
        self._say(Step.EHLO, b"EHLO " + self._name)

    def _on_ehlo(self, reply: Reply) -> list[Event]:
        if not reply.accepted:
            if self._says_ehlo and reply.code // 100 == 5:
                # An old relay that knows HELO only (RFC 5321 section 3.2).
                self._says_ehlo = False
                self._say(Step.EHLO, b"HELO " + self._name)
                return []
            return self._refused(Step.EHLO, reply)
        self.capabilities = capabilities(reply) if self._says_ehlo else Capabilities()
        if self._starttls:
            if not self.capabilities.offers("STARTTLS"):
                reason = "the relay offers no STARTTLS, and TLS is required"
                return self._close(None, reason, step=Step.STARTTLS)
            self._say(Step.STARTTLS, b"STARTTLS")
            return []
        return self._log_in(self._credentials) if self._credentials else [_READY]

    def _on_starttls(self, reply: Reply) -> list[Event]:
        if not reply.accepted:
            return self._refused(Step.STARTTLS, reply)
        if not self._replies.empty:
            # Bytes sent in plain text ahead of TLS would be read as if they came through it.
            return self._close(None, "the relay spoke before TLS was started")
        return [StartTls()]

    def _log_in(self, credentials: Credentials) -> list[Event]:
        user, password = credentials.user.encode(), credentials.password.encode()
        if "PLAIN" in self.capabilities.mechanisms:
            token = base64.b64encode(b"\0" + user + b"\0" + password)
            self._say(Step.AUTH, b"AUTH PLAIN " + token)
        elif "LOGIN" in self.capabilities.mechanisms:
            self._login_answers = deque([base64.b64encode(user), base64.b64encode(password)])
            self._say(Step.AUTH, b"AUTH LOGIN")
        else:
            reason = "the relay offers neither AUTH PLAIN nor AUTH LOGIN"
            return self._close(None, reason, step=Step.AUTH)
        return []

    def _on_auth(self, reply: Reply) -> list[Event]:
        if reply.code == 334 and self._login_answers:
            self._say(Step.AUTH, self._login_answers.popleft())
            return []
        if reply.code // 100 == 3:
            return self._unexpected(Step.AUTH, reply)
        return [_READY] if reply.accepted else self._refused(Step.AUTH, reply)

    def _on_mail(self, reply: Reply) -> list[Event]:
        if reply.code // 100 == 3:
            return self._unexpected(Step.MAIL, reply)
        if not reply.accepted:
            return self._give_up(Step.MAIL, reply)
        if not self.capabilities.pipelining:
            self._say(Step.RCPT, self._rcpt)
        return []

    def _on_rcpt(self, reply: Reply) -> list[Event]:
        if reply.code // 100 == 3 or (self._is_refused and reply.accepted):
            return self._unexpected(Step.RCPT, reply)
        if self._is_refused:
            return []
        if not reply.accepted:
            return self._give_up(Step.RCPT, reply)
        if not self.capabilities.pipelining:
            self._say(Step.DATA, b"DATA")
        return []

    def _on_data(self, reply: Reply) -> list[Event]:
        if reply.accepted:
            return self._unexpected(Step.DATA, reply)
        if reply.code // 100 != 3:
            return self._reset() if self._is_refused else self._give_up(Step.DATA, reply)
        if self._is_refused:
            # It wants a mail although it has no recipient: an empty one, which it can deliver to nobody
            # (RFC 2920 section 3.1).
            self._say_dot()
            return []
        self._out.append(self._body)
        self._body = b""
        self._holds_dot = True
        return [_BODY_WRITTEN]

    def _on_dot(self, reply: Reply) -> list[Event]:
        if reply.code // 100 == 3:
            return self._unexpected(Step.DOT, reply)
        if self._is_refused:
            return self._reset()
        answered = Answered(Step.DOT, reply)
        # Behind this reply the next mail may have begun.
        return [answered] if len(self._awaited) > 1 else [answered, _READY]

    def _give_up(self, step: Step, reply: Reply) -> list[Event]:
        """End the mail in hand, which is answered; what is still awaited for it is only read."""
        self._is_refused = True
        if self._awaited[-1] is step:
            self._reset()
        return [Answered(step, reply)]

    def _reset(self) -> list[Event]:
        # A transaction that was refused half way may still be open at the relay.
        self._say(Step.RSET, b"RSET")
        return []

    def _on_rset(self, reply: Reply) -> list[Event]:
        if not reply.accepted:
            return self._refused(Step.RSET, reply)
        self._is_refused = False
        return [_READY]

    def _on_quit(self, reply: Reply) -> list[Event]:
        return self._close(reply, "the conversation is over")
