"""What a refusal of the relay says about the reader: the same table as for what comes back later."""

import pytest

from mailer.bounces.reasons import AGAINST_READER, Reason
from mailer.bounces.refused_mails import refusal
from mailer.models import EvidenceKind

HARD, SOFT = EvidenceKind.HARD, EvidenceKind.SOFT


@pytest.mark.parametrize(
    ("step", "code", "text", "kind", "reason", "counts"),
    [
        ("rcpt", 550, "5.1.1 No such user", HARD, Reason.USER_UNKNOWN, True),
        ("rcpt", 550, "No such user", HARD, Reason.USER_UNKNOWN, True),
        ("rcpt", 550, "5.1.2 Bad host", HARD, Reason.HOST_UNKNOWN, True),
        ("rcpt", 551, "User not local", HARD, Reason.MOVED, True),
        ("rcpt", 550, "5.1.6 Has moved", HARD, Reason.MOVED, True),
        ("rcpt", 556, "5.1.10 Null MX", HARD, Reason.NOT_ACCEPTING, True),
        ("rcpt", 550, "5.2.1 Disabled", HARD, Reason.NOT_ACCEPTING, True),
        ("dot", 550, "5.1.1 No such user", HARD, Reason.USER_UNKNOWN, True),
        ("rcpt", 552, "5.2.2 Over quota", SOFT, Reason.MAILBOX_FULL, True),
        ("dot", 552, "5.2.2 Over quota", SOFT, Reason.MAILBOX_FULL, True),
        ("rcpt", 452, "4.2.2 Over quota", SOFT, Reason.MAILBOX_FULL, True),
        # Given up after days.
        ("rcpt", 450, "4.1.1 Not now", SOFT, Reason.EXPIRED, True),
        ("rcpt", 450, "Busy", SOFT, Reason.EXPIRED, True),
        ("dot", 451, "4.7.1 Greylisted", SOFT, Reason.POLICY, False),
        ("dot", 451, "4.3.0 Local error", SOFT, Reason.SYSTEM, False),
        ("dot", 451, "4.4.5 Congested", SOFT, Reason.CONGESTED, False),
        # Words say more than numbers.
        ("rcpt", 550, "Message rejected as spam", SOFT, Reason.SPAM, False),
        ("rcpt", 550, "5.1.1 The mailbox is full", SOFT, Reason.MAILBOX_FULL, True),
        ("rcpt", 554, "User unknown", HARD, Reason.USER_UNKNOWN, True),
        # But only an answer to RCPT, and one for good, is surely about the reader.
        ("dot", 554, "User unknown", SOFT, Reason.POLICY, False),
        ("rcpt", 450, "User unknown", SOFT, Reason.EXPIRED, True),
        # About the mail, the sender or the hosts.
        ("dot", 550, "No", SOFT, Reason.POLICY, False),
        ("dot", 552, "No", SOFT, Reason.SIZE, False),
        ("rcpt", 550, "5.0.0 No", SOFT, Reason.OTHER, True),
        ("dot", 554, "5.7.1 Rule 7", SOFT, Reason.POLICY, False),
        ("rcpt", 554, "No", SOFT, Reason.POLICY, False),
        ("rcpt", 550, "5.7.1 Rule 7", SOFT, Reason.POLICY, False),
        ("rcpt", 550, "5.1.8 Bad sender", SOFT, Reason.POLICY, False),
        ("mail", 552, "5.3.4 Too big", SOFT, Reason.SIZE, False),
        ("dot", 552, "5.2.3 Too big", SOFT, Reason.SIZE, False),
        ("dot", 554, "5.6.0 Bad content", SOFT, Reason.CONTENT, False),
        ("rcpt", 553, "5.6.7 Not ASCII", SOFT, Reason.UNSUPPORTED, False),
        ("data", 503, "5.5.1 No", SOFT, Reason.PROTOCOL, False),
        ("rcpt", 535, "5.7.8 Login", SOFT, Reason.AUTHENTICATION, False),
        # What only the exact status tells is told as of a mail that comes back.
        ("rcpt", 550, "5.4.4 No", HARD, Reason.HOST_UNKNOWN, True),
        ("dot", 550, "5.4.4 No", SOFT, Reason.POLICY, False),
        ("rcpt", 450, "4.4.4 No", SOFT, Reason.EXPIRED, True),
        ("dot", 554, "5.4.6 No", SOFT, Reason.LOOP, True),
        ("dot", 451, "4.4.1 No", SOFT, Reason.EXPIRED, True),
        ("rcpt", 550, "5.7.13 No", SOFT, Reason.SUSPENDED, True),
        ("dot", 550, "5.7.25 No", SOFT, Reason.AUTHENTICATION, False),
        (None, 550, "5.7.1 Rule 7", SOFT, Reason.POLICY, False),
    ],
)
def test_a_refusal_is_a_bounce(
    step: str | None, code: int, text: str, kind: EvidenceKind, reason: Reason, counts: bool
) -> None:
    found = refusal(step, code, text)
    assert (found.kind, found.reason) == (kind, reason)
    assert (found.reason in AGAINST_READER) is counts
    assert found.status == (text.split(" ")[0] if text[1:2] == "." else None)
