"""Row S10: a relay that knows little of SMTP takes everything that can be said in plain ASCII."""

import quopri
import re
from base64 import b64decode
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DeliveryStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import add_readers, counts, queue_digest, rows, suppressed
from tests.faults.relays import copies_in, instead, relay, size, smtp_sink
from tests.support.processes import working
from tests.support.receiver import Answer, Mail, fine
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

TEXT = "Բարեւ, ընթերցող։ " * 200 + "\n" + "x" * 2000 + "\n\nLeave: XKUNSUBSCRIBEZ\n"
HTML = f'<p>{TEXT.partition("Leave")[0]}</p><a href="XKUNSUBSCRIBEZ">Leave</a>'
SUBJECT = "Օրվա նորություններ"
LONGEST_LINE = 998
LONGEST_ENCODED_LINE = 76

BARE = instead("EHLO", "250 relay.example")


def knows_helo_only(verb: str, argument: str) -> str | None:
    """As relays were before 1995."""
    return "502 5.5.1 what?" if verb == "EHLO" else fine(verb, argument)


def check(mail: Mail) -> None:
    """What came is seven-bit, in short lines, and decodes to what was written."""
    data = mail.data
    assert data.isascii()
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) <= LONGEST_LINE
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    parsed = BytesParser(policy=policy.default).parsebytes(data)
    assert parsed["Subject"] == SUBJECT
    parts = [part for part in parsed.walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part in parts:
        encoding = part["Content-Transfer-Encoding"]
        payload = part.get_payload()
        assert isinstance(payload, str)
        assert max(map(len, payload.splitlines())) <= LONGEST_ENCODED_LINE
        # Decoded strictly, and not by the parser, which forgives.
        if encoding == "base64":
            content = b64decode("".join(payload.split()), validate=True)
        else:
            assert encoding == "quoted-printable"
            assert not re.search(r"=(?![0-9A-F]{2}|\r?\n|$)", payload)
            content = quopri.decodestring(payload.encode())
        assert content.decode().count("Բարեւ, ընթերցող։") == 200
        assert b"x" * 2000 in content


@pytest.mark.parametrize("says", [BARE, knows_helo_only], ids=["bare EHLO", "HELO only"])
def test_a_relay_without_extensions_gets_what_it_can_take(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, says: Answer
) -> None:
    readers = size(30, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers, subject=SUBJECT, html=HTML, text=TEXT)
    unicode, idn = "արամ@example.com", "reader@լուր.example"
    add_readers(sqlite_database, keys, digest_id, [unicode, idn])
    with (
        relay(fast_folder / "received", says, pipelines=False) as there,
        working(sqlite_database, keys, there.port, fast_folder / "log"),
    ):
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    mails = there.seen.mails
    failed = rows(sqlite_database, digest_id, DeliveryStatus.FAILED)
    got = [mail.recipient for mail in mails]
    expected = {f"reader{number}@example.com" for number in range(1, readers + 1)}
    expected.add("reader@xn--99ayyh.example")
    note(
        "S10",
        sqlite_database,
        readers=readers + 2,
        lost=len(expected - set(got)),
        doubled=len(got) - len(set(got)),
        unexpected=len(set(got) - expected),
    )
    assert {address: row.reply for address, row in failed.items()} == {
        unicode: "unsupported_eai: the relay does not offer SMTPUTF8"
    }
    assert sorted(got) == sorted(expected)
    for mail in mails:
        check(mail)
    for command in there.seen.commands:
        assert command.isascii()
        if command.startswith("MAIL"):
            # No parameter that was not offered (RFC 5321 section 4.1.1.11).
            assert command.endswith(">")
    assert suppressed(sqlite_database) == 0


@pytest.mark.needs_postfix
def test_smtp_sink_that_offers_nothing_takes_everything(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, free_port: int
) -> None:
    readers = size(100, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    dump = fast_folder / "sink" / "dump"
    with (
        smtp_sink(free_port, "-8", "-p", "-e", dump=dump),
        working(sqlite_database, keys, free_port, fast_folder / "log"),
    ):
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    copies = copies_in(dump)
    note("S10", sqlite_database, readers=readers, lost=readers - len(copies))
    assert copies == {f"reader{number}@example.com": 1 for number in range(1, readers + 1)}
    assert counts(sqlite_database, digest_id).sent == readers
