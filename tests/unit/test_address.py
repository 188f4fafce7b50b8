"""One verdict on an address, and one key for one person, wherever it comes in."""

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES
from hypothesis import given
from hypothesis import strategies as st

from mailer.address import Address, is_plain, mask, parse, rate_key, validated
from mailer.errors import BadAddress


@pytest.mark.parametrize(
    ("text", "typed", "key"),
    [
        ("reader@example.com", "reader@example.com", "reader@example.com"),
        ("  Reader@Example.COM\n", "Reader@example.com", "reader@example.com"),
        ("first.last+tag@example.com", "first.last+tag@example.com", "first.last+tag@example.com"),
        ("o'hara@example.com", "o'hara@example.com", "o'hara@example.com"),
        ("ընթերցող@օրինակ.example", "ընթերցող@օրինակ.example", "ընթերցող@xn--y9atn0a2c3a.example"),
        ("reader@bücher.example", "reader@bücher.example", "reader@xn--bcher-kva.example"),
        ("reader@xn--bcher-kva.example", "reader@bücher.example", "reader@xn--bcher-kva.example"),
        ("STRASSE@example.com", "STRASSE@example.com", "strasse@example.com"),
        ("straße@example.com", "straße@example.com", "strasse@example.com"),
        # The same letters, composed and decomposed.
        ("Zoe\u0308@example.com", "Zoë@example.com", "zoë@example.com"),
    ],
)  # fmt: skip
def test_a_good_address(text: str, typed: str, key: str) -> None:
    found = parse(text)
    assert (found.typed, found.key) == (typed, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reader",
        "@example.com",
        "reader@",
        "reader@nowhere",
        "reader@example..com",
        "reader@-example.com",
        ".reader@example.com",
        "rea..der@example.com",
        "reader@[192.0.2.1]",
        '"a reader"@example.com',
        "Reader <reader@example.com>",
        "reader@example.com, other@example.com",
        "reader@example.com\r\nBcc: other@example.com",
        "rea der@example.com",
        "reader@exam ple.com",
        # What decoding leaves of bytes that were not UTF-8.
        "re\ufffdder@example.com",
        "reader@@example.com",
        "reader\x00@example.com",
        "r" * 65 + "@example.com",
        "reader@" + "e" * 64 + ".com",
        "reader@" + "example." * 35 + "com",
        "reader@localhost",
    ],
)
def test_a_bad_address(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=80))
def test_whatever_is_typed_is_an_address_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except BadAddress:
        return
    assert parse(found.typed) == found
    assert parse(found.key).key == found.key
    assert not set(found.typed) & set(" \r\n\0<>,")


@given(st.emails())
def test_the_key_does_not_depend_on_case_or_form(text: str) -> None:
    try:
        found = parse(text)
    except BadAddress:
        return
    assert parse(text.upper()).key == parse(text.lower()).key == found.key


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("reader@example.com", "reader+tag@example.com", True),
        ("re.ader@gmail.com", "reader+x@googlemail.com", True),
        ("re.ader@example.com", "reader@example.com", False),
        ("reader@example.com", "reader@example.org", False),
        ("+tag@example.com", "+other@example.com", False),
    ],
)
def test_one_inbox_is_counted_once(first: str, second: str, same: bool) -> None:
    assert (rate_key(parse(first)) == rate_key(parse(second))) is same


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("reader@example.com", "r***@example.com"),
        ("@example.com", "***@example.com"),
        ("reader", "***"),
        ("", "***"),
    ],
)
def test_a_mask_shows_one_letter(text: str, masked: str) -> None:
    assert mask(text) == masked


_LABEL = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True) | st.sampled_from(
    [
        "xn--",
        "xn--bcher-kva",
        "ab--c",
        "-",
        "",
        "test",
        "local",
        "onion",
        "arpa",
        "invalid",
        "localhost",
    ]
)
_LOCAL = st.lists(st.text("ab0_+-.'!é", max_size=8), min_size=1, max_size=4).map(".".join)
_NEARLY_PLAIN = st.builds(
    lambda local, labels, last: f"{local}@{'.'.join([*labels, last])}",
    _LOCAL,
    st.lists(_LABEL, max_size=4),
    _LABEL | st.sampled_from(["com", "example", "museum", "c0m", "test", "COM"]),
)


@given(text=_NEARLY_PLAIN | st.from_regex(r"[a-z.-]{1,40}@[a-z0-9.-]{1,70}", fullmatch=True))
def test_a_plain_address_is_what_the_validator_returns(text: str) -> None:
    """The validator is not asked about these, so that it would accept each of them as it is."""
    if is_plain(text):
        assert parse(text) == validated(text) == Address(text, text)


@pytest.mark.parametrize("name", SPECIAL_USE_DOMAIN_NAMES)
def test_no_special_domain_is_plain(name: str) -> None:
    assert is_plain("reader@example.com")
    for text in (f"reader@{name}", f"reader@sub.{name}"):
        assert not is_plain(text)
        with pytest.raises(BadAddress):
            parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "Reader@example.com",
        "reader@Example.com",
        "reader@example.c0m",
        "reader@xn--bcher-kva.example",
        "reader@a--b.example",
        "reader@-a.example",
        "o'hara@example.com",
        "reader@example.com\n",
        "r" * 53 + "@example.com",
        "٣@example.com",
        "reader@example",
    ],
)
def test_all_others_are_left_to_the_validator(text: str) -> None:
    assert not is_plain(text)
