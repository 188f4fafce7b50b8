"""Writes mails as servers and readers send them back: bounces, delays, complaints, out-of-office replies.

`original` is the mail that comes back, and `to` the address that it comes back to: the envelope sender of the
original, with its reference.
"""

from email import message_from_bytes
from email.message import Message

CRLF = "\r\n"


def _returned_headers(original: bytes) -> str:
    head = original.partition(b"\r\n\r\n")[0]
    return head.decode("ascii", "replace") + CRLF


def _recipient(original: bytes) -> str:
    parsed: Message = message_from_bytes(original)
    return str(parsed["To"])


def _report(
    to: str, subject: str, report_type: str, words: str, machine: str, returned: str
) -> bytes:
    lines = [
        "From: Mail Delivery System <MAILER-DAEMON@mx.reader.example>",
        f"To: {to}",
        f"Subject: {subject}",
        "Date: Tue, 24 Nov 2026 07:00:01 +0000",
        "Message-ID: <20261124070001.report@mx.reader.example>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={report_type}; boundary="=_report"',
        "",
        "--=_report",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        words,
        "",
        "--=_report",
        f"Content-Type: message/{report_type}",
        "",
        machine,
        "",
        "--=_report",
        "Content-Type: text/rfc822-headers",
        "",
        returned,
        "--=_report--",
        "",
    ]
    return CRLF.join(lines).encode()


def bounce(
    original: bytes,
    to: str,
    *,
    status: str = "5.1.1",
    reply: str = "550 5.1.1 User unknown",
    action: str = "failed",
) -> bytes:
    """A delivery status notification (RFC 3464) about the reader of `original`."""
    reader = _recipient(original)
    machine = CRLF.join(
        [
            "Reporting-MTA: dns; mx.reader.example",
            "",
            f"Final-Recipient: rfc822; {reader}",
            f"Action: {action}",
            f"Status: {status}",
            f"Diagnostic-Code: smtp; {reply}",
        ]
    )
    words = f"Your mail to {reader} could not be delivered:{CRLF}    {reply}"
    return _report(
        to,
        "Undelivered Mail Returned to Sender",
        "delivery-status",
        words,
        machine,
        _returned_headers(original),
    )


def delayed(original: bytes, to: str) -> bytes:
    """A notice that the mail is late, and that the server goes on trying."""
    return bounce(original, to, status="4.4.1", reply="connection timed out", action="delayed")


def plain_bounce(original: bytes, to: str) -> bytes:
    """A bounce in words alone, in the manner of qmail."""
    reader = _recipient(original)
    lines = [
        "From: MAILER-DAEMON@mx.reader.example",
        f"To: {to}",
        "Subject: failure notice",
        "Date: 24 Nov 2026 07:00:01 -0000",
        "",
        "Hi. This is the qmail-send program at mx.reader.example.",
        "I'm afraid I wasn't able to deliver your message to the following addresses.",
        "This is a permanent error; I've given up. Sorry it didn't work out.",
        "",
        f"<{reader}>:",
        "Sorry, no mailbox here by that name. (#5.1.1)",
        "",
        "--- Below this line is a copy of the message.",
        "",
        _returned_headers(original),
    ]
    return CRLF.join(lines).encode()


def complaint(original: bytes, to: str) -> bytes:
    """A spam report of a provider (RFC 5965), with the reader's address taken out of it."""
    machine = CRLF.join(
        [
            "Feedback-Type: abuse",
            "User-Agent: ReaderFBL/1.0",
            "Version: 1",
            "Original-Mail-From: <redacted@news.example>",
        ]
    )
    reader = _recipient(original)
    returned = _returned_headers(original).replace(reader, "redacted@reader.example")
    words = "This is a spam report about a mail from your network."
    return _report(to, "Complaint about a mail", "feedback-report", words, machine, returned)


def out_of_office(original: bytes, to: str) -> bytes:
    """An automatic reply of a reader's mail program, to the envelope sender."""
    lines = [
        f"From: {_recipient(original)}",
        f"To: {to}",
        "Subject: Out of office: your newsletter",
        "Auto-Submitted: auto-replied",
        "Date: Tue, 24 Nov 2026 07:00:05 +0000",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "I am away until Monday. Your message could not be answered before then.",
        "",
    ]
    return CRLF.join(lines).encode()


def unsubscribe(sender: str, to: str) -> bytes:
    """What a mail program sends to the mailto address of List-Unsubscribe (RFC 2369)."""
    lines = [
        f"From: {sender}",
        f"To: {to}",
        "Subject: unsubscribe",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        "Message-ID: <unsubscribe.1@reader.example>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "",
    ]
    return CRLF.join(lines).encode()
