"""Row S10: a relay that knows little of SMTP takes everything that can be said in plain ASCII."""

import quopri
import re
from base64 import b64decode
from email import policy
from email.parser import BytesParser

import pytest
from sqlalchemy import select

from mailer.models import DeliveryStatus, Edition, Schedule
from tests.faults.conftest import SQLITE
from tests.faults.relays import copies_in, instead, size, smtp_sink
from tests.faults.run import Run
from tests.support import factories
from tests.support.receiver import Answer, Mail, fine
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
@SQLITE
def test_a_relay_without_extensions_gets_what_it_can_take(run: Run, says: Answer) -> None:
    readers = size(30, 1000)
    run.queue(readers, subject=SUBJECT, html=HTML, text=TEXT)
    unicode, idn = "արամ@example.com", "reader@լուր.example"
    with run.database.write() as session:
        edition = session.scalars(select(Edition)).one()
        schedule = session.scalars(select(Schedule)).one()
        for address in (unicode, idn):
            reader = factories.reader(session, run.keys, schedule, address)
            factories.delivery(session, edition, reader)
    with run.relay(says, pipelines=False) as there, run.working(there.port):
        wait_until(run.is_sent)
    mails = there.seen.mails
    failed = run.rows(DeliveryStatus.FAILED)
    got = [mail.recipient for mail in mails]
    expected = {f"reader{number}@example.com" for number in range(1, readers + 1)}
    expected.add("reader@xn--99ayyh.example")
    run.note(
        "S10",
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
    assert run.suppressed() == 0


@pytest.mark.needs_postfix
@SQLITE
def test_smtp_sink_that_offers_nothing_takes_everything(run: Run, free_port: int) -> None:
    readers = size(100, 1000)
    run.queue(readers)
    dump = run.folder / "sink" / "dump"
    with smtp_sink(free_port, "-8", "-p", "-e", dump=dump), run.working(free_port):
        wait_until(run.is_sent)
    copies = copies_in(dump)
    run.note("S10", readers=readers, lost=readers - len(copies))
    assert copies == {f"reader{number}@example.com": 1 for number in range(1, readers + 1)}
    assert run.counts().sent == readers
