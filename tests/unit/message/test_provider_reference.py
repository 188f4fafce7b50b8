"""Each provider gets the reference where it gives it back, in a line that it cannot fold."""

import json
from datetime import UTC, datetime

import pytest

from mailer.message.provider_reference import REFERENCE_HEADERS, ReferenceLines
from mailer.settings.provider_keys import PROVIDERS
from mailer.tokens import Keys

KEYS = Keys(secrets=(b"secret" * 6,), identity=b"identity" * 5)
LONGEST = KEYS.reference("delivery", 2**63 - 1, datetime(2026, 11, 28, 6, tzinfo=UTC))


def test_every_provider_that_may_be_named_has_a_header() -> None:
    assert set(REFERENCE_HEADERS) == set(PROVIDERS)


@pytest.mark.parametrize(
    ("provider", "line"),
    [
        ("ses", f"X-Mailer-Reference: {LONGEST}"),
        ("postmark", f"X-PM-Metadata-reference: {LONGEST}"),
        ("brevo", f"X-Mailin-custom: reference:{LONGEST}"),
        ("mailgun", f'X-Mailgun-Variables: {{"reference":"{LONGEST}"}}'),
    ],
)
def test_the_line_of_a_provider(provider: str, line: str) -> None:
    written = ReferenceLines([provider]).write(LONGEST).decode("ascii")
    assert written == f"{line}\r\n"
    name, _, value = line.partition(": ")
    assert REFERENCE_HEADERS[provider].value(LONGEST) == value
    assert " " not in value
    # Postmark's limits for a value and for a name.
    assert len(LONGEST) <= 80
    assert len(name.removeprefix("X-PM-Metadata-")) <= 20


def test_mailgun_gets_json() -> None:
    value = REFERENCE_HEADERS["mailgun"].value(LONGEST)
    assert json.loads(value) == {"reference": LONGEST}


def test_the_lines_of_several_providers_and_of_none() -> None:
    lines = ReferenceLines(PROVIDERS).write(LONGEST).decode("ascii").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        header.name for header in REFERENCE_HEADERS.values()
    ]
    assert all(LONGEST in line for line in lines)
    assert ReferenceLines().write(LONGEST) == b""
