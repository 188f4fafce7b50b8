"""Takes the mails of the week for the inbox, refuses mailboxes that are gone, and can pause before an answer.

While it does, the sender can be killed or stopped: the mail is taken by then, and not yet answered.
"""

import threading
from collections.abc import Callable

from tests.simulation.inbox import Inbox
from tests.support.receiver import Mail, fine

Act = Callable[[str, Mail], None]
"""Gets the name by which the sender of a mail called itself, and the mail."""


class Relay:
    """What the receiver says and does.

    Attributes:
        gone: addresses that have no mailbox.
        full: addresses whose mailbox is full.
    """

    def __init__(self, inbox: Inbox) -> None:
        self.gone: set[str] = set()
        self.full: set[str] = set()
        self._inbox = inbox
        self._here = threading.local()
        self._lock = threading.Lock()
        self._left = 0
        self._act: Act | None = None

    def at_mail(self, number: int, act: Act) -> None:
        """Act once when that many mails of digests have come from now on, before the last is answered."""
        with self._lock:
            self._left, self._act = number, act

    def answer(self, verb: str, argument: str) -> str:
        """What is said to a command. Each connection has a thread of its own."""
        if verb == "EHLO":
            self._here.name = argument
        address = argument.partition("<")[2].partition(">")[0] if verb == "RCPT" else ""
        if address in self.gone:
            return "550 5.1.1 there is no such mailbox"
        if address in self.full:
            return "552 5.2.2 the mailbox is full"
        return fine(verb, argument)

    def accept(self, mail: Mail) -> None:
        """Take a mail. Other connections wait meanwhile, so that nothing overtakes an act."""
        with self._lock:
            self._inbox.accept(mail)
            if self._act is None or mail.header("X-Mailer-Digest") is None:
                return
            self._left -= 1
            if self._left == 0:
                act, self._act = self._act, None
                act(self._here.name, mail)
