"""The table of SMTP codes and enhanced status codes."""

import pytest

from mailer.message.reply_codes import Meaning, meaning

M = Meaning


@pytest.mark.parametrize(
    ("code", "enhanced", "expected"),
    [
        (220, None, M.ACCEPTED),
        (250, "2.1.5", M.ACCEPTED),
        (354, None, M.ACCEPTED),
        (421, None, M.CLOSING),
        (421, "4.7.28", M.CLOSING),
        # Only the code is there.
        (432, None, M.NOT_AUTHENTICATED),
        (450, None, M.OTHER),
        (451, None, M.OTHER),
        (452, None, M.SYSTEM),
        (454, None, M.NOT_AUTHENTICATED),
        (455, None, M.PROTOCOL),
        (500, None, M.PROTOCOL),
        (501, None, M.PROTOCOL),
        (502, None, M.PROTOCOL),
        (503, None, M.PROTOCOL),
        (504, None, M.PROTOCOL),
        (530, None, M.NOT_AUTHENTICATED),
        (534, None, M.NOT_AUTHENTICATED),
        (535, None, M.NOT_AUTHENTICATED),
        (538, None, M.NOT_AUTHENTICATED),
        (550, None, M.BAD_MAILBOX),
        (551, None, M.BAD_MAILBOX),
        (552, None, M.MAILBOX_FULL),
        (553, None, M.BAD_MAILBOX),
        (554, None, M.POLICY),
        (555, None, M.PROTOCOL),
        (556, None, M.OTHER),
        (599, None, M.OTHER),
        # The enhanced status decides.
        (550, "5.0.0", M.OTHER),
        (550, "5.1.0", M.OTHER),
        (550, "5.1.1", M.BAD_MAILBOX),
        (550, "5.1.2", M.BAD_MAILBOX),
        (501, "5.1.3", M.BAD_MAILBOX),
        (550, "5.1.4", M.OTHER),
        (551, "5.1.6", M.BAD_MAILBOX),
        (501, "5.1.7", M.BAD_SENDER),
        (550, "5.1.8", M.BAD_SENDER),
        (556, "5.1.10", M.BAD_MAILBOX),
        (550, "5.1.100", M.OTHER),
        (550, "5.2.0", M.OTHER),
        (550, "5.2.1", M.BAD_MAILBOX),
        (450, "4.2.1", M.BAD_MAILBOX),
        (552, "5.2.2", M.MAILBOX_FULL),
        (452, "4.2.2", M.MAILBOX_FULL),
        (552, "5.2.3", M.TOO_BIG),
        (550, "5.2.4", M.OTHER),
        (552, "5.3.4", M.TOO_BIG),
        (452, "4.3.1", M.SYSTEM),
        (550, "5.4.4", M.SYSTEM),
        (451, "4.4.5", M.CONGESTED),
        (550, "5.5.1", M.PROTOCOL),
        (554, "5.6.0", M.CONTENT),
        (550, "5.6.7", M.UNSUPPORTED_EAI),
        (550, "5.6.9", M.UNSUPPORTED_EAI),
        (550, "5.7.1", M.POLICY),
        (450, "4.7.1", M.POLICY),
        (552, "5.7.0", M.POLICY),
        (530, "5.7.0", M.NOT_AUTHENTICATED),
        (535, "5.7.8", M.NOT_AUTHENTICATED),
        # A large provider says this of mails that fail DMARC.
        (554, "5.7.9", M.POLICY),
        (550, "5.7.26", M.POLICY),
        (450, "4.7.28", M.POLICY),
        (550, "5.9.9", M.OTHER),
    ],
)
def test_meaning(code: int, enhanced: str | None, expected: Meaning) -> None:
    assert meaning(code, enhanced) is expected
