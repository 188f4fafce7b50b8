"""What strangers write acts on nothing beside it, and reads as they meant it."""

import pytest

from mailer.text.untrusted import printable_line, without_bidi_controls, without_controls


@pytest.mark.parametrize("control", [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"])
def test_what_turns_its_neighbours_around_goes(control: str) -> None:
    assert without_bidi_controls(f"a{control}b") == "ab"
    assert printable_line(f"a{control}b") == "ab"


@pytest.mark.parametrize(
    "text",
    ["الخبر (1)\u200f", "מחיר 5\u200e!", "\u061c12", "می\u200cخواهم", "Ընթերցող", "👩\u200d🚒"],
)
def test_what_a_language_needs_stays(text: str) -> None:
    assert without_bidi_controls(text) == printable_line(text) == text


@pytest.mark.parametrize("control", [*"\0\a\x1b\x7f\x85\x9b\r\n\t\u2028\u2029\ud800"])
def test_a_control_character_is_a_space(control: str) -> None:
    assert printable_line(f"{control}a{control} b{control}") == "a b"


def test_of_a_long_line_the_beginning_is_kept() -> None:
    assert printable_line(" a\nb" * 9, 3) == "a b"


def test_line_ends_stay_where_they_are_meant() -> None:
    assert without_controls("a\n\x1bb", keep="\n") == "a\n b"
