import pytest

from mailer.feeds.reading.markup import without


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("abc", "abc"),
        ("a<!--b-->c", "ac"),
        ("a<!--b-->c<!--d-->", "ac"),
        ("<!---->", ""),
        # So it is in HTML: a comment without anything.
        ("a<!-->b", "ab"),
        ("a<!--b", "a"),
        ("a-->b", "a-->b"),
        ("a<!--b<!--c-->d-->", "ad-->"),
    ],
)
def test_without(text: str, expected: str) -> None:
    assert without(text, "<!--", "-->") == expected
