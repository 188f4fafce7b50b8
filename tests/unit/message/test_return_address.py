"""The address to which a mail came back names the mail that it is about, whatever was done to it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.address import parse
from mailer.message.return_address import (
    LONGEST_MAILBOX,
    SEPARATORS,
    BounceAddress,
    read_return_address,
)
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
    assert read_return_address(bounces.sender(REFERENCE)) == (REFERENCE, False)
    url = bounces.unsubscribe_url(REFERENCE)
    address = url.removeprefix("mailto:").removesuffix("?subject=unsubscribe")
    assert read_return_address(address) == (REFERENCE, True)


def test_the_longest_mailbox_leaves_room_for_the_longest_reference() -> None:
    bounces = BounceAddress("b" * LONGEST_MAILBOX, "news.example")
    url = bounces.unsubscribe_url(LAST_OF_A_TRILLION)
    assert len(url.removeprefix("mailto:").partition("@")[0]) == 64
    assert len(bounces.sender(LAST_OF_A_TRILLION).partition("@")[0]) == 62


def test_what_a_url_may_not_hold_is_escaped() -> None:
    bounces = BounceAddress("a&b=c?d", "news.example")
    assert bounces.unsubscribe_url(REFERENCE).startswith(f"mailto:a%26b%3Dc%3Fd+u.{REFERENCE}@")
    assert bounces.sender(REFERENCE).startswith(f"a&b=c?d+{REFERENCE}@")


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("is_unsubscribe", [False, True])
@pytest.mark.parametrize("change", [str, str.upper])
def test_a_return_address_is_read(separator: str, is_unsubscribe: bool, change: type[str]) -> None:
    kind = "u." if is_unsubscribe else ""
    address = change(f"bounce{separator}{kind}{REFERENCE}@news.example")
    assert read_return_address(address) == (REFERENCE, is_unsubscribe)


@pytest.mark.parametrize(
    "local",
    [f"SRS0=ab1=XY=news.example=bounce+{REFERENCE}", f"prvs=1234abcdef=bounce+{REFERENCE}"],
)
def test_a_forwarder_may_have_put_its_own_around_it(local: str) -> None:
    assert read_return_address(f"{local}@forwarder.example") == (REFERENCE, False)


@pytest.mark.parametrize(
    "address",
    [
        *("", "@", "bounce@news.example", REFERENCE, f"{REFERENCE}@news.example", "bounce+@x"),
        *(f"bounce+{REFERENCE}x@news.example", f"bounce+x{REFERENCE}@news.example"),
        *(f"bounce+u.u.{REFERENCE}@news.example", f"bounce.{REFERENCE}@news.example"),
        f"{'+' * 100_000}{REFERENCE}@news.example",
    ],
)
def test_other_addresses_name_no_mail(address: str) -> None:
    assert read_return_address(address) is None


@given(st.text(max_size=80))
def test_any_text_may_be_asked(text: str) -> None:
    assert read_return_address(text) is None
