"""Serves the newspaper's feed for a year: it never runs out of stories."""

from collections.abc import Iterator
from itertools import count

from tests.simulation.site import Site
from tests.simulation.stories import stories


class LongSite(Site):
    """A site whose headlines are told again with another number once all were told."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._texts = {"news": _endless([*stories()["news"]])}


def _endless(texts: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number in count():
        for title, summary in texts:
            yield (f"{title} (part {number + 1})" if number else title), summary
