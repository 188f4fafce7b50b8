"""Random lives, each of some hundred slots: nobody gets an article twice, none is forgotten, and the plan is
what is sent. `make property` lives new ones for as long as it is told to.
"""

import pytest

from mailer.db import Database
from mailer.digests.selection import choose
from mailer.tokens import Keys
from tests.integration.digests.life import Life


def _live(database: Database, keys: Keys, seed: int, slots: int, **kind: bool) -> None:
    with Life(database, keys, seed, **kind) as life:
        life.live(slots)
        print(f"seed {seed}: {dict(life.happened)}")
    # It was rich enough to mean something.
    assert life.slots_passed == slots
    assert life.happened["mails"] > 2 * slots
    for what in ("sent", "failed", "unknown", "deferred", "purged", "max_age changed"):
        assert life.happened[what], what
    assert life.missed


@pytest.mark.thorough
def test_a_random_life(sqlite_database: Database, keys: Keys) -> None:
    _live(sqlite_database, keys, 1, 310)


def test_a_random_life_on_postgresql(postgresql_database: Database, keys: Keys) -> None:
    _live(postgresql_database, keys, 2, 60)


def test_a_life_with_room_in_every_digest(sqlite_database: Database, keys: Keys) -> None:
    _live(sqlite_database, keys, 3, 60, roomy=True)


@pytest.mark.thorough
def test_a_life_with_too_many_lists(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "MAX_COHORTS", 2)
    _live(sqlite_database, keys, 4, 60, few_lists=True)
