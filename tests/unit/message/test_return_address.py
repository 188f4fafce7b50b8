"""The address to which a mail came back names the mail that it is about, whatever was done to it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.message.return_address import SEPARATORS, read_return_address
from mailer.tokens import Keys

KEYS = Keys(secrets=(b"secret" * 6,), identity=b"identity" * 5)
REFERENCE = KEYS.reference("delivery", 12, datetime(2026, 11, 28, 6, tzinfo=UTC))


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
