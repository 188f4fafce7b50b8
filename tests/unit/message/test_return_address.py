"""The address to which a mail comes back names the mail that it is about, for those who read it."""

from datetime import UTC, datetime

import pytest

from mailer.address import parse
from mailer.bounces.reading.read import read_returned
from mailer.message.return_address import LONGEST_DOMAIN, LONGEST_MAILBOX, SEPARATORS, BounceAddress
from mailer.tokens import Keys

KEYS = Keys(secrets=(b"secret" * 6,), identity=b"identity" * 5)
NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)
REFERENCE = KEYS.reference("delivery", 12, NOW)
LAST_OF_A_TRILLION = KEYS.reference("notice", 10**12 - 1, NOW)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_what_is_written_is_read(separator: str) -> None:
    bounces = BounceAddress.of(parse("Bounce@Новости.example"), separator)
    assert bounces.address == "Bounce@xn--b1amnebsh.example"
    assert bounces.sender(REFERENCE) == f"Bounce{separator}{REFERENCE}@xn--b1amnebsh.example"
    url = bounces.unsubscribe_url(REFERENCE)
    to_leave = url.removeprefix("mailto:").removesuffix("?subject=unsubscribe")
    for address, leaves in ((bounces.sender(REFERENCE), False), (to_leave, True)):
        for written in (address, address.upper()):
            returned = read_returned(f"To: <{written}>\r\nSubject: x\r\n\r\n".encode())
            assert (returned.references, returned.unsubscribe) == ((REFERENCE,), leaves)


def test_the_longest_mailbox_leaves_room_for_the_longest_reference() -> None:
    bounces = BounceAddress("b" * LONGEST_MAILBOX, "news.example")
    url = bounces.unsubscribe_url(LAST_OF_A_TRILLION)
    assert len(url.removeprefix("mailto:").partition("@")[0]) == 64
    assert len(bounces.sender(LAST_OF_A_TRILLION).partition("@")[0]) == 62


def test_the_longest_domain_leaves_room_for_the_longest_local_part() -> None:
    bounces = BounceAddress("b" * LONGEST_MAILBOX, "d" * LONGEST_DOMAIN)
    url = bounces.unsubscribe_url(LAST_OF_A_TRILLION)
    assert len(url.removeprefix("mailto:").partition("?")[0]) == 254


def test_what_a_url_may_not_hold_is_escaped() -> None:
    bounces = BounceAddress("a&b=c?d/e", "news.example")
    assert bounces.unsubscribe_url(REFERENCE).startswith(f"mailto:a%26b%3Dc%3Fd%2Fe+u.{REFERENCE}@")
    assert bounces.sender(REFERENCE).startswith(f"a&b=c?d/e+{REFERENCE}@")
