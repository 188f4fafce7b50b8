"""Whose connection has to go when all places are taken."""

import pytest

from mailer.web.server import whose_place


@pytest.mark.parametrize(
    ("waiting", "goes"),
    [
        ([(None, 2.0), (None, 1.0), (None, 3.0)], 1),
        ([("a", 2.0), ("b", 1.0), ("c", 3.0)], 1),
        ([("a", 1.0), ("b", 3.0), ("b", 2.0)], 2),
        # A proxy or this machine is many clients, however many connections it holds.
        ([(None, 1.0), (None, 1.0), (None, 1.0), ("b", 3.0), ("b", 2.0)], 4),
    ],
)
def test_the_oldest_of_the_client_that_holds_most_goes(
    waiting: list[tuple[str | None, float]], goes: int
) -> None:
    assert whose_place(waiting) == goes
