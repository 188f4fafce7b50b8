"""Brings what readers and their servers send back to the mailer, each through a real part of its own.

A Postfix alias, a Maildir, a Dovecot, and the webhooks of four providers.
"""

import json
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import urllib3

from tests.simulation.program import Program, WeekStopped
from tests.support import provider_payloads as payloads
from tests.support import returned_mail
from tests.support.postfix import Postfix
from tests.support.provider_payloads import Signer
from tests.support.receiver import Mail

WEBHOOKS: Final = ("ses", "mailgun", "postmark", "brevo")

HARD, FULL, SPAM, COMPLAINT = "hard", "full", "spam", "complaint"
LEAVE, AWAY, LATE = "leave", "away", "late"
"""What is sent back."""


def reference(mail: Mail) -> str:
    """The mail's reference, as its envelope sender has it."""
    return mail.sender.partition("+")[2].partition("@")[0]


def as_mail(what: str, mail: Mail) -> tuple[str, bytes]:
    """What is sent back as a mail, and to whom."""
    to = mail.sender
    if what == LEAVE:
        to = to.replace("+", "+u.", 1)
        return to, returned_mail.unsubscribe(mail.recipient, to)
    write: dict[str, Callable[[bytes, str], bytes]] = {
        HARD: returned_mail.bounce if len(mail.recipient) % 2 else returned_mail.plain_bounce,
        FULL: lambda raw, to: returned_mail.bounce(
            raw, to, status="5.2.2", reply="552 5.2.2 The mailbox is full"
        ),
        SPAM: lambda raw, to: returned_mail.bounce(
            raw, to, status="5.7.1", reply="554 5.7.1 Message rejected as spam"
        ),
        COMPLAINT: returned_mail.complaint,
        AWAY: returned_mail.out_of_office,
        LATE: returned_mail.delayed,
    }
    return to, write[what](mail.data, to)


def as_event(provider: str, what: str, ref: str, now: datetime, signer: Signer) -> object:
    """What a provider posts about it."""
    if provider == "ses":
        event = {
            HARD: lambda: payloads.ses_bounce(ref),
            FULL: lambda: payloads.ses_bounce(ref, "Transient", "MailboxFull"),
            SPAM: lambda: payloads.ses_bounce(ref, "Transient", "ContentRejected"),
            COMPLAINT: lambda: payloads.ses_complaint(ref),
        }[what]()
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return signer.sign(payloads.sns_notification(event, Timestamp=stamp))
    if provider == "mailgun":
        event = {
            HARD: lambda: payloads.mailgun_failed(ref, code=550, message="5.1.1 User unknown"),
            FULL: lambda: payloads.mailgun_failed(ref, code=552, message="5.2.2 Mailbox full"),
            SPAM: lambda: payloads.mailgun_failed(ref, code=554, message="5.7.1 Spam rejected"),
            COMPLAINT: lambda: payloads.mailgun(ref, "complained"),
        }[what]()
        return payloads.mailgun_signed(event["event-data"], at=now)
    if provider == "postmark":
        return {
            HARD: lambda: payloads.postmark_bounce(ref),
            FULL: lambda: (
                payloads.postmark_bounce(ref, "SoftBounce") | {"Details": "552 5.2.2 full"}
            ),
            SPAM: lambda: payloads.postmark_bounce(ref, "SpamNotification"),
            COMPLAINT: lambda: payloads.postmark_bounce(ref, "SpamComplaint"),
        }[what]()
    return {
        HARD: lambda: payloads.brevo(ref),
        FULL: lambda: payloads.brevo(ref, "soft_bounce", reason="552 5.2.2 mailbox full"),
        SPAM: lambda: payloads.brevo(ref, "soft_bounce", reason="554 5.7.1 spam rejected"),
        COMPLAINT: lambda: payloads.brevo(ref, "spam"),
    }[what]()


@dataclass
class Channels:
    """All ways back. `posted` counts what was given to each."""

    program: Program
    postfix: Postfix
    maildir: Path
    imap: Path
    signer: Signer
    addresses: Mapping[str, str]
    posted: dict[str, int] = field(default_factory=dict)

    def send(self, channel: str, what: str, mail: Mail) -> None:
        """Send it back, through this channel.

        Raises:
            WeekStopped: it is not taken.
        """
        number = self.posted[channel] = self.posted.get(channel, 0) + 1
        if channel in WEBHOOKS:
            now = self.program.clock.now()
            self.post(channel, as_event(channel, what, reference(mail), now, self.signer))
            return
        to, raw = as_mail(what, mail)
        self.deliver(channel, to, raw, number)

    def deliver(self, channel: str, to: str, raw: bytes, number: int) -> None:
        """Deliver a mail to the bounce address."""
        if channel == "postfix":
            with smtplib.SMTP("127.0.0.1", self.postfix.port) as client:
                client.sendmail("", [to], raw)
            return
        folder = self.maildir if channel == "maildir" else self.imap
        draft = folder / "tmp" / f"{number}.{channel}"
        draft.write_bytes(raw)
        draft.chmod(0o666)
        draft.rename(folder / "new" / draft.name)

    def post(self, provider: str, body: object) -> None:
        """Post what a provider reports.

        Raises:
            WeekStopped: the answer is another than 200.
        """
        answer = urllib3.request(
            "POST",
            self.addresses[provider],
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            retries=False,
        )
        if answer.status != 200:
            raise WeekStopped(f"the webhook of {provider} answers {answer.status}: {answer.data!r}")

    def take_in(self, imap: Program) -> None:
        """Have all that was sent back taken in by now.

        Raises:
            WeekStopped: some of it is not.
        """
        sent = self.posted.get("postfix", 0)
        self.program.wait(lambda: len(self.postfix.statuses) >= sent, "Postfix's alias")
        if any(self.postfix.statuses):
            raise WeekStopped(f"bounce process ended with {set(self.postfix.statuses)}")
        self.program.type("bounce", "fetch")
        imap.type("bounce", "fetch")


def signer_at(now: datetime) -> Signer:
    """A signer whose certificate is valid around this time."""
    return Signer(begins=now - timedelta(days=30))
