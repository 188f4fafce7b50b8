"""The local inbox: every mail that the demo's SMTP server took, as it arrived on the wire.

It parses with Python's own `email` package and not with the mailer's code, so that what it shows is
what another program makes of the mail.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True)
class ReceivedMail:
    """One mail that was received: its envelope, its bytes and what they parse to.

    `number` counts from 1 in order of arrival; `received` is aware UTC.
    """

    number: int
    received: datetime
    sender: str
    recipient: str
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        """The mail as Python's parser sees it."""
        parsed = BytesParser(policy=policy.default).parsebytes(self.raw)
        assert isinstance(parsed, EmailMessage)  # noqa: S101 - policy.default makes no other
        return parsed

    def header(self, name: str) -> str | None:
        """One header's value, unfolded and decoded."""
        value = self.message[name]
        return None if value is None else str(value)

    @property
    def subject(self) -> str:
        return self.header("Subject") or "(no subject)"

    @property
    def from_name(self) -> str:
        """The sender as an inbox lists it: the name, or the address when there is none."""
        name, address = parseaddr(self.header("From") or self.sender)
        return name or address

    @property
    def is_digest(self) -> bool:
        return self.header("X-Mailer-Digest") is not None

    @cached_property
    def text(self) -> str | None:
        """The plain part, or None when the mail has none."""
        return self._part("plain")

    @cached_property
    def html(self) -> str | None:
        """The HTML part, or None when the mail has none."""
        return self._part("html")

    @property
    def one_click(self) -> str | None:
        """The address that RFC 8058 lets a mail program post to, if this mail offers one."""
        if self.header("List-Unsubscribe-Post") is None:
            return None
        found = re.search(r"<(https?://[^>]+)>", self.header("List-Unsubscribe") or "")
        return found[1] if found else None

    def links(self) -> list[str]:
        """Where the links of the HTML part lead, in order."""
        return _References(self.html or "").links

    def text_links(self) -> list[str]:
        """The addresses that stand in the plain part, in order."""
        return [found.rstrip(".,;:)") for found in _URL_IN_TEXT.findall(self.text or "")]

    def images(self) -> list[str]:
        """What the HTML part would load as pictures."""
        return _References(self.html or "").images

    def _part(self, kind: str) -> str | None:
        for part in self.message.walk():
            if part.get_content_type() == f"text/{kind}":
                content: Any = part.get_content()
                return str(content)
        return None


class Mailbox:
    """All mails received so far. Safe to use from several threads."""

    def __init__(self) -> None:
        self._mails: list[ReceivedMail] = []
        self._changed = threading.Condition()

    def deliver(self, sender: str, recipient: str, raw: bytes) -> None:
        """Keep one mail for one recipient."""
        with self._changed:
            number = len(self._mails) + 1
            self._mails.append(ReceivedMail(number, datetime.now(UTC), sender, recipient, raw))
            self._changed.notify_all()

    def mails(self) -> list[ReceivedMail]:
        """Everything received, oldest first."""
        with self._changed:
            return list(self._mails)

    def mail(self, number: int) -> ReceivedMail | None:
        """The mail with that number, if it has come."""
        return next((mail for mail in self.mails() if mail.number == number), None)

    def to(self, address: str) -> list[ReceivedMail]:
        """What came for one address, oldest first."""
        return [mail for mail in self.mails() if mail.recipient.lower() == address.lower()]

    def wait(
        self, wanted: Callable[[ReceivedMail], bool], *, seconds: float
    ) -> ReceivedMail | None:
        """The first mail that `wanted` accepts, as soon as it has come; None when time is up."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = next((mail for mail in self._mails if wanted(mail)), None)
                left = deadline - time.monotonic()
                if found is not None or left <= 0:
                    return found
                self._changed.wait(left)


class Sink:
    """aiosmtpd's handler: takes every mail and keeps it."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep the mail once for each recipient of its envelope."""
        for recipient in envelope.rcpt_tos:
            self._mailbox.deliver(envelope.mail_from or "", recipient, envelope.content)
        return "250 2.0.0 Kept in the local inbox"


class _References(HTMLParser):
    """Collects where a page links to and what it loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and (target := values.get("href")):
            self.links.append(target)
        if tag in {"img", "source", "input"} and (source := values.get("src")):
            self.images.append(source)
        if background := values.get("background"):
            self.images.append(background)
