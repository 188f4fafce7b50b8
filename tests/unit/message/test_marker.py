"""Reader fields and the words that stand for them."""

import secrets

import pytest

from mailer.errors import BadMessage
from mailer.message.marker import Pieces, ReaderField, cut, field_word, new_marker

MARKER = "QJ4ZT2MNBX7PLKA5"


def test_a_marker_is_sixteen_letters_and_digits_of_the_given_randomness() -> None:
    assert new_marker(lambda count: bytes(range(count))) == "AAAQEAYEAUDAOCAJ"
    assert len({new_marker(secrets.token_bytes) for _ in range(100)}) == 100


def test_a_text_is_cut_at_its_fields_and_filled_again() -> None:
    text = (
        f"Dear {field_word(MARKER, ReaderField.GREETING)}, {field_word(MARKER, ReaderField.NOTME)}"
    )
    pieces = cut(text, MARKER)
    assert pieces == Pieces(("Dear ", ", ", ""), (ReaderField.GREETING, ReaderField.NOTME))
    filled = pieces.fill({ReaderField.GREETING: "Ani", ReaderField.NOTME: "https://n.example"})
    assert filled == "Dear Ani, https://n.example"


def test_a_text_without_fields_is_one_piece() -> None:
    assert cut("Good morning", MARKER) == Pieces(("Good morning",), ())


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
        cut(f"before {text} after", MARKER)
