"""What stands behind a number fits it."""

import pytest

from mailer.words import counted


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ("0 mails", "0 entries are held")),
        (1, ("1 mail", "1 entry is held")),
        (2, ("2 mails", "2 entries are held")),
    ],
)
def test_what_stands_behind_a_number_fits_it(number: int, words: tuple[str, str]) -> None:
    assert (
        counted(number, "mail"),
        counted(number, "entry is held", "entries are held"),
    ) == words
