"""Keeps every mail that the demo's SMTP server took, as it arrived on the wire.

Mails are parsed with Python's own `email` package and not with the mailer's code, to show what another
program makes of them.
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
from typing import Any

from mailer.demo.browser import tags

URL_IN_TEXT = re.compile(r"https?://[^\s<>\"]+")


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
        """Return one header's value, unfolded and decoded."""
        value = self.message[name]
        return None if value is None else str(value)

    @property
    def subject(self) -> str:
        """The subject, or words in its place if there is none."""
        return self.header("Subject") or "(no subject)"

    @property
    def from_name(self) -> str:
        """The sender as an inbox lists it: the name, or the address if there is none."""
        name, address = parseaddr(self.header("From") or self.sender)
        return name or address

    @property
    def is_digest(self) -> bool:
        """Whether this is a digest, not a notice."""
        return self.header("X-Mailer-Digest") is not None

    @cached_property
    def text(self) -> str | None:
        """The plain part, or None if the mail has none."""
        return self._part("plain")

    @cached_property
    def html(self) -> str | None:
        """The HTML part, or None if the mail has none."""
        return self._part("html")

    @property
    def one_click(self) -> str | None:
        """The address that RFC 8058 lets a mail program post to, if this mail offers one."""
        if self.header("List-Unsubscribe-Post") is None:
            return None
        match = re.search(r"<(https?://[^>]+)>", self.header("List-Unsubscribe") or "")
        return match[1] if match else None

    def links(self) -> list[str]:
        """Return where the links of the HTML part lead, in order."""
        return [
            attributes["href"]
            for tag, attributes in tags(self.html or "")
            if tag == "a" and "href" in attributes
        ]

    def text_links(self) -> list[str]:
        """Return the addresses in the plain part, in order."""
        return [url.rstrip(".,;:)") for url in URL_IN_TEXT.findall(self.text or "")]

    def images(self) -> list[str]:
        """Return what the HTML part would load as pictures."""
        return [
            attributes[name]
            for tag, attributes in tags(self.html or "")
            for name in ("src", "background")
            if name in attributes and (name == "background" or tag in {"img", "source", "input"})
        ]

    def _part(self, kind: str) -> str | None:
        part = self.message.get_body((kind,))
        return None if part is None else str(part.get_content())


class Mailbox:
    """All mails received so far; also the handler of aiosmtpd. Safe to use from several threads."""

    def __init__(self) -> None:
        self._mails: list[ReceivedMail] = []
        self._changed = threading.Condition()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail that came over SMTP, once for each recipient of its envelope."""
        for recipient in envelope.rcpt_tos:
            self.deliver(envelope.mail_from or "", recipient, envelope.content)
        return "250 2.0.0 Kept in the local inbox"

    def deliver(self, sender: str, recipient: str, raw: bytes) -> None:
        """Keep one mail for one recipient."""
        with self._changed:
            number = len(self._mails) + 1
            self._mails.append(ReceivedMail(number, datetime.now(UTC), sender, recipient, raw))
            self._changed.notify_all()

    def mails(self) -> list[ReceivedMail]:
        """Return everything received, oldest first."""
        with self._changed:
            return list(self._mails)

    def mail(self, number: int) -> ReceivedMail | None:
        """Return the mail with that number, if it has come."""
        return next((mail for mail in self.mails() if mail.number == number), None)

    def wait(
        self, wanted: Callable[[ReceivedMail], bool], *, seconds: float
    ) -> ReceivedMail | None:
        """Return the first mail that `wanted` accepts, once it has come; None when time is up."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                mail = next((mail for mail in self._mails if wanted(mail)), None)
                left = deadline - time.monotonic()
                if mail is not None or left <= 0:
                    return mail
                self._changed.wait(left)
