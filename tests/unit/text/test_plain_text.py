"""Plain text as HTML."""

import pytest

from mailer.text.plain_text import as_html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
        ("one\ntwo\r\n\r\nthree", "<p>one<br>two</p><p>three</p>"),
        ("", ""),
    ],
)
def test_plain_text_as_html(text: str, expected: str) -> None:
    assert as_html(text) == expected
