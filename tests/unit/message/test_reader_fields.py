"""Reader fields and the words that stand for them."""

import secrets

import pytest

from mailer.errors import BadMessage
from mailer.message.reader_fields import ReaderField, SplitText, field_word, new_marker, split_text

MARKER = "QJ4ZT2MNBX7PLKA5"


def test_a_marker_is_sixteen_letters_and_digits_of_the_given_randomness() -> None:
    assert new_marker(lambda count: bytes(range(count))) == "AAAQEAYEAUDAOCAJ"
    assert len({new_marker(secrets.token_bytes) for _ in range(100)}) == 100


def test_a_text_is_split_at_its_fields_and_filled_again() -> None:
    text = (
        f"Dear {field_word(MARKER, ReaderField.GREETING)}, {field_word(MARKER, ReaderField.NOTME)}"
    )
    split = split_text(text, MARKER)
    fields = (ReaderField.GREETING, ReaderField.NOTME)
    assert split == SplitText(("Dear ", ", ", ""), fields, (("", ""), ("", "")))
    filled = split.fill({ReaderField.GREETING: "Ani", ReaderField.NOTME: "https://n.example"})
    assert filled == "Dear Ani, https://n.example"


@pytest.mark.parametrize(
    ("text", "ungreeted"),
    [
        ("<td>\n<p dir='auto'>{}</p>\n<h2>News</h2>\n", "<td>\n<h2>News</h2>\n"),
        ("<td><p>{}</p><p>News</p></td>\n", "<td><p>News</p></td>\n"),
        ("<td>{}</td>\n", "<td></td>\n"),
        ("<p>To: {}</p>\n", "<p>To: </p>\n"),
        ("<pre>{}</p>\n", "<pre></p>\n"),
        ("Title\n\n{}\n\nNews\n", "Title\n\nNews\n"),
        ("Title\r\n\r\n{}\r\n\r\nNews\r\n", "Title\r\n\r\nNews\r\n"),
        ("Title\r\n{}\r\nNews\r\n", "Title\r\nNews\r\n"),
        ("Dear {}\nNews\n", "Dear \nNews\n"),
        ("News\n\n{}\n", "News\n\n\n"),
        ("{}\n\n", "\n\n"),
    ],
)
def test_a_reader_who_is_not_greeted_gets_no_empty_paragraph_or_line(
    text: str, ungreeted: str
) -> None:
    split = split_text(text.format(field_word(MARKER, ReaderField.GREETING)), MARKER)
    assert split.fill({ReaderField.GREETING: "Hello Ani,"}) == text.format("Hello Ani,")
    assert split.fill({ReaderField.GREETING: ""}) == ungreeted


def test_a_text_without_fields_is_one_piece() -> None:
    assert split_text("Good morning", MARKER) == SplitText(("Good morning",), (), ())


@pytest.mark.parametrize(
    "text",
    [
        MARKER,
        MARKER + "PASSWORDZ",
        MARKER + "GREETING",
        (MARKER + "GREETINGZ").lower(),
        MARKER + "GREETINGZ".lower(),
        MARKER + MARKER + "GREETINGZ",
    ],
)
def test_a_marker_outside_a_known_field_is_refused(text: str) -> None:
    with pytest.raises(BadMessage, match="without a filter"):
        split_text(f"before {text} after", MARKER)
