import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import Refused
from mailer.message.look import check_color, contrast
from tests.support.sample_mails import look

COLORS = st.integers(min_value=0, max_value=0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize("color", ["", "red", "#fff", "#12345g", "#1234567", "123456", "#123456\n"])
def test_what_is_no_colour_is_refused(color: str) -> None:
    with pytest.raises(Refused, match="is not a colour; write it like"):
        check_color(color)
    with pytest.raises(Refused):
        look(color=color)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@pytest.mark.parametrize(("color", "text"), [("#14507a", "#ffffff"), ("#F2C14E", "#1c1c1e")])
def test_text_on_the_colour(color: str, text: str) -> None:
    assert look(color=color).on_color == text


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    assert look(color="#14507a").accent == "#14507a"
    assert look(color="#f2c14e").night_accent == "#f2c14e"


@pytest.mark.parametrize(
    ("color", "is_seen"),
    [
        ("#14507a", True),
        ("#e4002b", True),
        ("#f2c14e", True),
        ("#fefefe", False),
        ("#ffff00", False),
        ("#050505", False),
        ("#1c1c1e", False),
    ],
)
def test_a_line_is_grey_where_a_ground_would_swallow_the_colour(color: str, is_seen: bool) -> None:
    assert (look(color=color).edge == color) is is_seen


@given(COLORS)
def test_whatever_the_colour_text_can_be_read(color: str) -> None:
    made = look(color=color)
    assert contrast(made.on_color, color) >= 4.5
    assert contrast(made.accent, "#ffffff") >= 4.5
    assert contrast(made.night_accent, "#1c1c1e") >= 4.5
    assert min(contrast(made.edge, ground) for ground in ("#ffffff", "#1c1c1e")) >= 1.2
