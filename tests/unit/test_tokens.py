"""A token opens one thing for one row for its time, and nobody else can make one."""

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import BadToken, ExpiredToken
from mailer.models import Delivery, Notice
from mailer.tokens import Keys, Purpose, message_id, referenced_row

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
KEYS = Keys(secrets=(b"new" * 12, b"old" * 12), identity=b"identity" * 5)
ROW = 0x7FFF_0000_1234_5678


@given(st.sampled_from(Purpose), st.integers(0, 2**63 - 1), st.booleans())
def test_what_was_made_is_read(purpose: Purpose, public_id: int, for_ever: bool) -> None:
    token = KEYS.make(purpose, public_id, None if for_ever else LATER)
    assert KEYS.read(token, purpose, NOW) == public_id
    assert len(token) == 39


@pytest.mark.parametrize(("made", "read"), list(permutations(Purpose, 2)))
def test_a_token_is_worth_nothing_for_another_purpose(made: Purpose, read: Purpose) -> None:
    with pytest.raises(BadToken):
        KEYS.read(KEYS.make(made, ROW, LATER), read, NOW)


@given(st.binary(min_size=1, max_size=140), st.integers(0, 2**63 - 1))
def test_a_token_is_signed_with_hmac_sha256(key: bytes, public_id: int) -> None:
    head = b"u" + public_id.to_bytes(8) + bytes(4)
    tag = hmac.digest(key, b"token\0" + head, "sha256")[:16]
    token = base64.urlsafe_b64encode(head + tag).decode().rstrip("=")
    assert Keys(secrets=(b"new",), identity=key).make(Purpose.UNSUBSCRIBE, public_id) == token


@given(st.integers(0, 38), st.sampled_from("ABCXYZabcxyz0189-_"))
def test_a_changed_letter_spoils_it(place: int, letter: str) -> None:
    token = KEYS.make(Purpose.CONFIRM, ROW, LATER)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(BadToken):
            KEYS.read(changed, Purpose.CONFIRM, NOW)


@given(st.text(max_size=60))
def test_what_was_not_made_here_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        KEYS.read(text, Purpose.CONFIRM, NOW)


@pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{}\n", "{}A", "{}AAAA"])
def test_a_token_has_one_spelling(change: str) -> None:
    with pytest.raises(BadToken):
        KEYS.read(change.format(KEYS.make(Purpose.CONFIRM, ROW, LATER)), Purpose.CONFIRM, NOW)


def test_the_standard_alphabet_is_another_spelling() -> None:
    tokens = (KEYS.make(Purpose.CONFIRM, row, LATER) for row in range(99))
    token = next(token for token in tokens if "-" in token)
    with pytest.raises(BadToken):
        KEYS.read(token.replace("-", "+").replace("_", "/"), Purpose.CONFIRM, NOW)


def test_it_expires_at_the_second() -> None:
    token = KEYS.make(Purpose.PREFERENCES, ROW, LATER)
    assert KEYS.read(token, Purpose.PREFERENCES, LATER - timedelta(seconds=1)) == ROW
    with pytest.raises(ExpiredToken):
        KEYS.read(token, Purpose.PREFERENCES, LATER)


def test_an_expired_token_of_another_maker_is_bad_not_expired() -> None:
    other = Keys(secrets=(b"other" * 8,), identity=b"other" * 8)
    with pytest.raises(BadToken) as caught:
        KEYS.read(other.make(Purpose.CONFIRM, ROW, NOW), Purpose.CONFIRM, LATER)
    assert not isinstance(caught.value, ExpiredToken)


def test_the_secret_key_rotates() -> None:
    old = Keys(secrets=KEYS.secrets[1:], identity=KEYS.identity)
    assert KEYS.read(old.make(Purpose.CONFIRM, ROW, LATER), Purpose.CONFIRM, NOW) == ROW
    with pytest.raises(BadToken):
        old.read(KEYS.make(Purpose.CONFIRM, ROW, LATER), Purpose.CONFIRM, NOW)


def test_the_hash_of_an_address_needs_the_identity_key() -> None:
    other = Keys(secrets=KEYS.secrets, identity=b"another" * 6)
    assert KEYS.key_hash("reader@example.com") != other.key_hash("reader@example.com")
    assert KEYS.key_hash("reader@example.com") != KEYS.key_hash("reader@example.org")
    assert len(KEYS.key_hash("reader@example.com")) == 64


def test_the_fingerprint_is_that_of_the_identity_key_alone() -> None:
    rotated = Keys(secrets=(b"newest" * 6,), identity=KEYS.identity)
    assert rotated.fingerprint() == KEYS.fingerprint()
    assert Keys(KEYS.secrets, b"another" * 6).fingerprint() != KEYS.fingerprint()


def test_a_form_says_when_it_was_shown() -> None:
    assert KEYS.read_form_stamp(KEYS.form_stamp(NOW)) == NOW
    for stamp in ("", "1", "x.y", "1.2", "1.é", "٣.00", f"{10**12}.00", KEYS.form_stamp(NOW)[:-1]):
        assert KEYS.read_form_stamp(stamp) is None


@pytest.mark.parametrize("provider", ["ses", "postmark"])
def test_a_webhook_has_one_secret_for_each_provider_and_key(provider: str) -> None:
    secret = KEYS.webhook_secret(provider)
    assert re.fullmatch("[0-9a-f]{32}", secret)
    assert KEYS.is_webhook_secret(provider, secret)
    assert not KEYS.is_webhook_secret("brevo", secret)
    rotated = Keys(secrets=(b"newest" * 6, *KEYS.secrets), identity=KEYS.identity)
    assert rotated.webhook_secret(provider) != secret
    assert rotated.is_webhook_secret(provider, secret)
    retired = Keys(secrets=rotated.secrets[:1], identity=KEYS.identity)
    assert not retired.is_webhook_secret(provider, secret)
    for wrong in ("", secret[:-1], secret + "0", secret.upper(), "é" * 32, "\ud800"):
        assert not KEYS.is_webhook_secret(provider, wrong)


def test_a_reference_is_the_same_at_every_attempt_and_no_other_rows() -> None:
    first = KEYS.reference("delivery", 7, NOW)
    assert first == KEYS.reference("delivery", 7, NOW)
    others = {
        KEYS.reference("delivery", 8, NOW),
        KEYS.reference("delivery", 7, LATER),
        KEYS.reference("notice", 7, NOW),
    }
    assert first not in others
    assert len(others) == 3
    assert re.fullmatch(r"d7\.[0-9a-f]{32}", first)
    assert message_id(first, "news.example") == f"<{first}@news.example>"


REFERENCE = KEYS.reference("delivery", 7, NOW)
TAG = REFERENCE.partition(".")[2]


@pytest.mark.parametrize("table", [Delivery.__tablename__, Notice.__tablename__])
@given(row_id=st.integers(1, 2**63 - 1))
def test_a_reference_names_its_row_in_any_letter_case(table: str, row_id: int) -> None:
    reference = KEYS.reference(table, row_id, NOW)
    assert referenced_row(reference) == referenced_row(reference.upper()) == (table, row_id)
    assert KEYS.is_reference(reference, NOW)
    assert KEYS.is_reference(reference.upper(), NOW)


def test_the_zone_of_a_time_does_not_matter_to_its_reference() -> None:
    # PostgreSQL returns times in the zone of its session.
    assert KEYS.is_reference(REFERENCE, NOW.astimezone(timezone(timedelta(hours=4))))


@pytest.mark.parametrize(
    "text",
    [
        KEYS.reference("delivery", 8, NOW).replace("d8", "d7"),
        REFERENCE.replace("d7", "n7"),
        REFERENCE.replace("d7", "d8"),
        KEYS.reference("delivery", 7, NOW + timedelta(microseconds=1)),
        Keys(KEYS.secrets, b"another" * 6).reference("delivery", 7, NOW),
    ],
)
def test_a_forged_reference_is_none_of_ours(text: str) -> None:
    assert referenced_row(text) is not None
    assert not KEYS.is_reference(text, NOW)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "d.", f"d.{TAG}", f"d7{TAG}", f"d7.{TAG[1:]}", f"d7.{TAG}0", f"d7.{TAG[1:]}g"),
        *(f"x7.{TAG}", f"d-7.{TAG}", f"d0.{TAG}", f"d07.{TAG}", f"d٧.{TAG}", f"d7.{TAG}\n"),
        *(f" {REFERENCE}", f"{REFERENCE}@news.example", f"D7.{TAG[1:]}\u212a", REFERENCE * 1000),
        # The smallest number that the databases' integers cannot hold, and a longer one.
        *(f"d{2**63}.{TAG}", f"d{10**19}.{TAG}", "d" + "9" * 10_000 + f".{TAG}"),
    ],
)
def test_what_is_no_reference_names_no_row(text: str) -> None:
    assert referenced_row(text) is None
    assert not KEYS.is_reference(text, NOW)


@given(st.text(max_size=60))
def test_any_text_may_be_asked_for_the_row_it_names(text: str) -> None:
    assert referenced_row(text) is None


def test_keys_do_not_show() -> None:
    assert "identity" not in repr(KEYS).replace("identity=", "")
    assert base64.b64encode(KEYS.identity).decode() not in repr(KEYS)
