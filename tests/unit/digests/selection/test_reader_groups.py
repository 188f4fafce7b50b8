"""How editions that readers have had are told by numbers, and understood again."""

import pytest

from mailer.digests.selection.reader_groups import Frame
from mailer.models import BLOCK_SIZE


@pytest.mark.parametrize(
    "editions",
    [
        (),
        (1,),
        (BLOCK_SIZE - 1, BLOCK_SIZE),
        tuple(range(1, 2 * BLOCK_SIZE + 1)),
        (3, BLOCK_SIZE * 7 + 5, BLOCK_SIZE * 900 + BLOCK_SIZE - 1),
    ],
)
def test_what_is_told_is_understood(editions: tuple[int, ...]) -> None:
    frame = Frame.around([10], editions)
    for had in (editions, editions[:1], editions[1:], editions[::2], ()):
        assert frame.decode(frame.encode(had)) == had


def test_a_number_for_each_word_of_editions() -> None:
    frame = Frame.around([10], [1, 3, BLOCK_SIZE, 5 * BLOCK_SIZE + 1])
    assert frame.blocks == (0, 1, 5)
    assert frame.encode([1, 3, 5 * BLOCK_SIZE + 1]) == "10,0,2"


def test_a_word_fits_into_the_numbers_of_both_databases() -> None:
    frame = Frame.around([10], range(BLOCK_SIZE))
    assert int(frame.encode(range(BLOCK_SIZE))) < 2**62


def test_no_editions_are_told_by_nothing() -> None:
    assert Frame.around([], []).encode([]) == ""
    assert Frame.around([], []).decode("") == ()
