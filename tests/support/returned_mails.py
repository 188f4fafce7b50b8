"""Makes labelled mails as they come back: known answers in the formats of several servers, and whole texts.

The words are those that servers are known to say; the mails around them, and all addresses, are invented.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from mailer.bounces.reasons import BounceKind, Reason

FOLDER = Path(__file__).parents[1] / "data" / "bounces"
READER = "reader@nowhere.example"
REFERENCE = "d12." + "0123456789abcdef" * 2
BOUNCE = f"bounce+{REFERENCE}@news.example"
RETURNED = f"""\
Return-Path: <{BOUNCE}>
Received: from news.example by relay.example with ESMTPS; Sat, 28 Nov 2026 07:30:00 +0000
Message-ID: <{REFERENCE}@news.example>
Date: Sat, 28 Nov 2026 07:30:00 +0000
From: The Gazette <news@news.example>
To: <{READER}>
Subject: The Gazette
List-Unsubscribe: <https://news.example/unsubscribe/x>, <mailto:bounce+u.{REFERENCE}@news.example>
MIME-Version: 1.0
Content-Type: text/plain

News of the day.
"""


@dataclass(frozen=True)
class Sample:
    """A mail, and what reading it has to find."""

    name: str
    reason: Reason
    raw: bytes
    address: str | None = READER

    @property
    def kind(self) -> BounceKind:
        return self.reason.kind


def header(sender: str, subject: str, *more: str) -> str:
    lines = [f"From: {sender}", f"To: <{BOUNCE}>", f"Subject: {subject}", *more]
    return "\n".join(["Return-Path: <>", "Date: Sat, 28 Nov 2026 07:31:00 +0000", *lines]) + "\n"


def report(
    text: str,
    groups: str,
    *,
    sender: str = "Mail Delivery System <MAILER-DAEMON@relay.example>",
    subject: str = "Undelivered Mail Returned to Sender",
    kind: str = "message/delivery-status",
    returned: str = "message/rfc822",
) -> str:
    """A mail of RFC 3462 with a text, the report's groups, and the returned mail."""
    top = header(sender, subject, "Auto-Submitted: auto-replied", "MIME-Version: 1.0")
    return f"""\
{top}Content-Type: multipart/report; report-type=delivery-status; boundary="=_1"

This is a MIME-encapsulated message.

--=_1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{text}
--=_1
Content-Type: {kind}

{groups}
--=_1
Content-Type: {returned}

{RETURNED}
--=_1--
"""


def postfix(status: str, answer: str) -> str:
    said = f"host mx.nowhere.example[192.0.2.7] said: {answer} (in reply to RCPT TO command)"
    text = f"This is the mail system at host relay.example.\n\n<{READER}>: {said}\n"
    return report(
        text,
        "Reporting-MTA: dns; relay.example\nX-Postfix-Queue-ID: 4F1A\n\n"
        f"Final-Recipient: rfc822; {READER}\nOriginal-Recipient: rfc822;{READER}\n"
        f"Action: failed\nStatus: {status}\nRemote-MTA: dns; mx.nowhere.example\n"
        f"Diagnostic-Code: smtp; {answer}\n",
    )


def sendmail(status: str, answer: str) -> str:
    text = (
        "   ----- The following addresses had permanent fatal errors -----\n"
        f"<{READER}>\n    (reason: {answer})\n\n   ----- Transcript of session follows -----\n"
        f"... while talking to mx.nowhere.example.:\n>>> RCPT To:<{READER}>\n<<< {answer}\n"
    )
    return report(
        text,
        f"Reporting-MTA: dns; relay.example\n\nFinal-Recipient: RFC822; {READER}\n"
        f"Action: failed (after the last try)\nStatus: {status} (refused)\n"
        f"Diagnostic-Code: SMTP; {answer}\n",
        subject="Returned mail: see transcript for details",
        returned="text/rfc822-headers",
    )


def office(status: str, answer: str) -> str:
    half = len(answer) // 2
    at = answer.find(" ", half)
    folded = f"{answer[:at]}\n {answer[at + 1 :]}" if at > 0 else answer
    return report(
        f"Your message to {READER} couldn't be delivered.\n",
        f"Reporting-MTA: dns;mx.office.example\n\nFinal-Recipient: rfc822;{READER}\n"
        f"Action: failed\nStatus: {status}\nDiagnostic-Code: smtp;{folded}\nX-Display-Name: Reader\n",
        sender="Microsoft Outlook <MicrosoftExchange329e71ec@office.example>",
        subject="Undeliverable: The Gazette",
    )


def exim(status: str, answer: str) -> str:
    top = header(
        "Mail Delivery System <Mailer-Daemon@relay.example>",
        "Mail delivery failed: returning message to sender",
        f"X-Failed-Recipients: {READER}",
        "Auto-Submitted: auto-replied",
        "Content-Type: text/plain; charset=utf-8",
    )
    text = "A message that you sent could not be delivered to all of its recipients."
    about = (
        f"  {READER}\n    SMTP error from remote mail server after RCPT TO:<{READER}>:\n"
        f"    host mx.nowhere.example [192.0.2.7]: {answer}\n"
    )
    copy = "------ This is a copy of the message, including all the headers. ------"
    return f"{top}\n{text}\nThe following address(es) failed:\n\n{about}\n{copy}\n\n{RETURNED}"


def qmail(status: str, answer: str) -> str:
    top = header(
        "MAILER-DAEMON@relay.example", "failure notice", "Content-Type: text/plain; charset=utf-8"
    )
    return (
        f"{top}\nHi. This is the qmail-send program at relay.example.\n\n<{READER}>:\n"
        f"192.0.2.7 does not like recipient.\nRemote host said: {answer}\n\n"
        f"--- Below this line is a copy of the message.\n\n{RETURNED}"
    )


WITH_REPORT = (postfix, sendmail, office)
WITHOUT = (exim, qmail)
ENDS = cycle([b"\n", b"\r\n", b"\r"])


def replies() -> Iterator[tuple[Reason, str, str]]:
    for line in (FOLDER / "replies.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            reason, status, answer = (part.strip() for part in line.split("|", 2))
            yield Reason(reason), status, answer.replace("READER", READER)


def texts() -> Iterator[Sample]:
    whole = (FOLDER / "texts.txt").read_text()
    for block in whole.split("\n%%% ")[1:]:
        first, _, body = block.replace("READER", READER).partition("\n")
        name, reason, sender, subject = (part.strip() for part in first.split("|", 3))
        lines = body.split("\n")
        more = [line[2:] for line in lines if line.startswith("+ ")]
        said = "\n".join(line for line in lines if not line.startswith("+ "))
        top = header(sender, subject, *more, "Content-Type: text/plain; charset=utf-8")
        is_bounce = Reason(reason).kind in (BounceKind.HARD, BounceKind.SOFT)
        names_reader = is_bounce or reason == "delayed"
        by_reader = READER in sender and reason != "ordinary"
        yield Sample(
            name,
            Reason(reason),
            f"{top}\n{said}{RETURNED if is_bounce else ''}".encode(),
            READER if names_reader or by_reader else None,
        )


def samples() -> list[Sample]:
    """All of them, in the formats of several servers and with all line ends."""
    made: list[Sample] = []
    for number, (reason, status, answer) in enumerate(replies()):
        formats = [WITH_REPORT[number % 3], WITHOUT[number % 2]]
        made += [
            Sample(f"{number}-{form.__name__}", reason, form(status, answer).encode())
            for form in formats
        ]
    made += texts()
    return [
        Sample(one.name, one.reason, one.raw.replace(b"\n", end), one.address)
        for one, end in zip(made, ENDS, strict=False)
    ]
