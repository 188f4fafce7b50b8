"""Hostile JSON: any type may stand anywhere, and nothing but a refusal or a harmless event comes of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.bounces.providers import brevo, mailgun, postmark, ses, sns
from mailer.bounces.providers.payload import (
    BadPayload,
    NotAuthentic,
    own_references,
    read_json,
)
from tests.support import provider_payloads as payloads

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
REF = "d12." + "a" * 32

READERS = {
    "ses": (ses.read_event, payloads.ses_bounce(REF)),
    "complaint": (ses.read_event, payloads.ses_complaint(REF)),
    "mailgun": (mailgun.read_event, payloads.mailgun_failed(REF)),
    "postmark": (postmark.read_event, payloads.postmark_bounce(REF)),
    "suppression": (postmark.read_event, payloads.postmark_suppression(REF, "HardBounce")),
    "brevo": (brevo.read_event, payloads.brevo(REF)),
}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xc3"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 100_000 + b"}",
        b"{} {}",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadPayload):
        read_json(body)


def test_json_is_read_in_utf_8() -> None:
    assert read_json('\ufeff{"a": "ü"}'.encode()) == {"a": "ü"}
    # The last of two counts, as nearly everywhere.
    assert read_json('{"a": 1, "a": "x"}') == {"a": "x"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=10), inside, max_size=3)
    ),
    max_leaves=8,
)


def changed(value: Any, data: st.DataObject) -> Any:
    """Something else at one place of a payload, which is drawn."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 4)) == 0:
        return data.draw(JSON)
    if isinstance(value, dict):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: changed(value[name], data)}
    place = data.draw(st.integers(0, len(value) - 1))
    return [*value[:place], changed(value[place], data), *value[place + 1 :]]


@pytest.mark.thorough
@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_any_value_anywhere_makes_no_error(name: str, data: st.DataObject) -> None:
    read, payload = READERS[name]
    event = read(changed(payload, data), now=NOW)
    for one in event.evidence:
        assert one.references in ((), (REF,))
    assert len(event.name) < 200
    assert event.name.isprintable()


@given(data=st.data())
def test_any_value_anywhere_in_a_signed_message_is_refused_or_read(data: st.DataObject) -> None:
    good = payloads.amazon().sign(payloads.sns_notification(payloads.ses_bounce(REF)))
    try:
        message = sns.read_message(changed(good, data), payloads.TOPIC)
        sns.verify(message, payloads.amazon().certificate, now=NOW)
    except NotAuthentic:
        return
    # Only what is not signed was changed.
    assert message.text == good["Message"]


@given(JSON)
def test_any_signature_of_mailgun_is_refused(block: Any) -> None:
    payload = {**payloads.mailgun(REF), "signature": block}
    with pytest.raises(NotAuthentic):
        mailgun.check_signature(payload, payloads.MAILGUN_KEY, now=NOW)


def test_huge_lists_are_cut() -> None:
    payload = payloads.ses_bounce(REF)
    payload["mail"]["headers"] = [{"name": "x", "value": "y"}] * 100_000 + payload["mail"][
        "headers"
    ]
    (one,) = ses.read_event(json.loads(json.dumps(payload)), now=NOW).evidence
    assert one.references == ()


@pytest.mark.parametrize(
    ("texts", "references"),
    [
        ([REF], (REF,)),
        ([f" <{REF.upper()}@news.example> "], (REF,)),
        ([None, "", "x", REF, REF], (REF,)),
        (["d0." + "a" * 32, "d12." + "g" * 32, "d12", "x" * 10_000, "\ud800"], ()),
        (["n3." + "b" * 32], ("n3." + "b" * 32,)),
    ],
)
def test_what_may_be_a_reference(texts: list[str | None], references: tuple[str, ...]) -> None:
    assert own_references(*texts) == references
