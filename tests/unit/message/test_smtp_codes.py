"""The table of SMTP codes and enhanced status codes."""

import pytest

from mailer.message.smtp_codes import Meaning, meaning

REPLIES = {
    Meaning.ACCEPTED: "220 250/2.1.5 354",
    Meaning.CLOSING: "421 421/4.7.28",
    Meaning.NOT_AUTHENTICATED: "432 454 530 534 535 538 530/5.7.0 535/5.7.8",
    Meaning.BAD_SENDER: "501/5.1.7 550/5.1.8",
    Meaning.BAD_MAILBOX: (
        "550 551 553 550/5.1.1 550/5.1.2 501/5.1.3 551/5.1.6 556/5.1.10 550/5.2.1 450/4.2.1"
    ),
    Meaning.MAILBOX_FULL: "552 552/5.2.2 452/4.2.2",
    Meaning.TOO_BIG: "552/5.2.3 552/5.3.4",
    Meaning.CONTENT: "554/5.6.0",
    Meaning.UNSUPPORTED_EAI: "550/5.6.7 550/5.6.9",
    # A large provider says 5.7.9 of mails that fail DMARC.
    Meaning.POLICY: "554 550/5.7.1 450/4.7.1 552/5.7.0 554/5.7.9 550/5.7.26 450/4.7.28",
    Meaning.CONGESTED: "451/4.4.5",
    Meaning.SYSTEM: "452 452/4.3.1 550/5.4.4",
    Meaning.PROTOCOL: "455 500 501 502 503 504 555 550/5.5.1",
    Meaning.OTHER: (
        "450 451 556 599 550/5.0.0 550/5.1.0 550/5.1.4 550/5.1.100 550/5.2.0 550/5.2.4 550/5.9.9"
    ),
}
"""Replies by what they are about; where there is an enhanced status, it decides."""


@pytest.mark.parametrize(
    ("reply", "expected"),
    [(reply, about) for about, replies in REPLIES.items() for reply in replies.split()],
)
def test_meaning(reply: str, expected: Meaning) -> None:
    code, _, enhanced = reply.partition("/")
    assert meaning(int(code), enhanced or None) is expected


def test_every_meaning_is_tried() -> None:
    assert set(REPLIES) == set(Meaning)
