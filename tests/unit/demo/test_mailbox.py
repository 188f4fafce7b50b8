import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from starlette.applications import Starlette

from mailer.demo.mailbox import Mailbox, ReceivedMail
from mailer.demo.servers import Servers, bind, port_of


def digest(recipient: str = "anna@reader.example") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "The Harbour Gazette <news@gazette.example>"
    mail["To"] = recipient
    mail["Subject"] = "Բարի լույս, Merrowhaven"
    mail["X-Mailer-Digest"] = "7"
    mail["List-Unsubscribe"] = "<http://127.0.0.1:8000/unsubscribe/t>, <mailto:x@gazette.example>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(
        "Read http://127.0.0.1:8001/news/one, or not.\n.\nhttp://127.0.0.1:8001/news/two\n"
    )
    mail.add_alternative(
        '<a href="http://127.0.0.1:8001/news/one"><img src="http://127.0.0.1:8001/one.png"></a>'
        '<table background="http://127.0.0.1:8001/wall.png"></table>',
        subtype="html",
    )
    return mail


@pytest.fixture
def inbox() -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    with bind(0) as web, bind(0) as smtp:
        servers = Servers({web: Starlette()}, smtp, mailbox)
        servers.start()
        yield mailbox, port_of(smtp)
        servers.stop()


def test_what_comes_over_smtp_is_kept_byte_by_byte(inbox: tuple[Mailbox, int]) -> None:
    mailbox, port = inbox
    raw = digest().as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("bounce@gazette.example", ["anna@reader.example", "b@reader.example"], raw)
    first, second = mailbox.mails()
    assert first.raw == raw
    assert (first.sender, first.recipient) == ("bounce@gazette.example", "anna@reader.example")
    assert (first.number, second.number) == (1, 2)
    assert mailbox.mail(2) == second
    assert mailbox.mail(3) is None


def parsed(message: EmailMessage) -> ReceivedMail:
    mailbox = Mailbox()
    mailbox.deliver("bounce@gazette.example", "anna@reader.example", message.as_bytes())
    return mailbox.mails()[0]


def test_a_mail_shows_its_parts_links_and_pictures() -> None:
    mail = parsed(digest())
    assert mail.subject == "Բարի լույս, Merrowhaven"
    assert mail.from_name == "The Harbour Gazette"
    assert mail.is_digest
    assert mail.links() == ["http://127.0.0.1:8001/news/one"]
    assert mail.text_links() == ["http://127.0.0.1:8001/news/one", "http://127.0.0.1:8001/news/two"]
    assert mail.images() == ["http://127.0.0.1:8001/one.png", "http://127.0.0.1:8001/wall.png"]
    assert mail.one_click == "http://127.0.0.1:8000/unsubscribe/t"


def test_a_mail_without_the_post_header_offers_no_one_click() -> None:
    message = digest()
    del message["List-Unsubscribe-Post"]
    assert parsed(message).one_click is None


def test_a_mail_with_nothing_in_it_is_shown_all_the_same() -> None:
    mailbox = Mailbox()
    mailbox.deliver("", "anna@reader.example", b"\r\n")
    mail = mailbox.mails()[0]
    assert (mail.subject, mail.html, mail.links()) == ("(no subject)", None, [])
    assert not mail.is_digest


def test_waiting_ends_when_the_mail_comes() -> None:
    mailbox = Mailbox()
    raw = digest().as_bytes()
    timer = threading.Timer(0.05, mailbox.deliver, ("", "anna@reader.example", raw))
    timer.start()
    found = mailbox.wait(lambda mail: mail.recipient == "anna@reader.example", seconds=10)
    timer.join()
    assert found is not None
    assert mailbox.wait(lambda mail: mail.recipient == "b@reader.example", seconds=0.01) is None
