"""A move whose process is killed, at each place where that could matter: never can both be used."""

import subprocess
import sys
from pathlib import Path

import pytest

from mailer import schema
from mailer.db import Database
from mailer.errors import DatabaseMoved, MailerError
from mailer.tokens import Keys
from tests.support.every_table import fill
from tests.support.moves import everything, move_to, url_of
from tests.support.processes import ROOT, environment

MOVED = "move.marked"
PLACES = ("move.copied", "move.filled", "move.begun", "move.committed", MOVED)


def type_move(
    old: Database, new: Database, keys: Keys, folder: Path, *options: str, failpoint: str = ""
) -> subprocess.CompletedProcess[str]:
    old.dispose()
    new.dispose()
    settings = environment(old, keys, 25, {"failpoint": failpoint} if failpoint else {})
    return subprocess.run(
        [sys.executable, "-m", "mailer", "db", "move", "--to", url_of(new), *options],
        env=settings | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def may_be_used(database: Database, keys: Keys) -> bool:
    try:
        schema.check(database, keys.fingerprint())
    except MailerError:
        return False
    finally:
        database.dispose()
    return True


@pytest.mark.parametrize("place", PLACES)
def test_killed_there_at_most_one_can_be_used_and_repeating_finishes(
    sqlite_database: Database, new: Database, keys: Keys, fast_folder: Path, place: str
) -> None:
    fill(sqlite_database, keys)
    before = everything(sqlite_database)
    ended = type_move(sqlite_database, new, keys, fast_folder, failpoint=place)
    assert ended.returncode == -9, ended.stderr
    old, moved = may_be_used(sqlite_database, keys), may_be_used(new, keys)
    # Before the mark the old one goes on, after the commit the new one; in between neither.
    assert (old, moved) == {
        "move.copied": (True, False),
        "move.filled": (True, False),
        "move.begun": (False, False),
    }.get(place, (False, True))
    if place == MOVED:
        with pytest.raises(DatabaseMoved):
            move_to(sqlite_database, new, keys)
    else:
        assert move_to(sqlite_database, new, keys).finished is (place == "move.committed")
    assert everything(new) == before
    assert (may_be_used(sqlite_database, keys), may_be_used(new, keys)) == (False, True)


@pytest.mark.parametrize("place", ["move.begun", "move.committed"])
def test_a_move_that_was_begun_says_what_to_do_and_can_be_taken_back(
    sqlite_database: Database, new: Database, keys: Keys, fast_folder: Path, place: str
) -> None:
    fill(sqlite_database, keys)
    before = everything(sqlite_database)
    type_move(sqlite_database, new, keys, fast_folder, failpoint=place)
    with pytest.raises(
        DatabaseMoved, match=r"not finished.*repeat `mailer db move --to`.*--cancel"
    ):
        schema.check(sqlite_database, keys.fingerprint())
    ended = type_move(sqlite_database, new, keys, fast_folder, "--cancel")
    assert ended.returncode == 0, ended.stderr
    assert (may_be_used(sqlite_database, keys), may_be_used(new, keys)) == (True, False)
    assert everything(sqlite_database) == before


@pytest.mark.parametrize("place", ["move.abandoned", "move.freed"])
def test_killed_while_a_move_is_taken_back_neither_can_be_used_until_it_is_repeated(
    sqlite_database: Database, new: Database, keys: Keys, fast_folder: Path, place: str
) -> None:
    fill(sqlite_database, keys)
    move_to(sqlite_database, new, keys)
    ended = type_move(sqlite_database, new, keys, fast_folder, "--cancel", failpoint=place)
    assert ended.returncode == -9, ended.stderr
    assert (may_be_used(sqlite_database, keys), may_be_used(new, keys)) == (False, False)
    ended = type_move(sqlite_database, new, keys, fast_folder, "--cancel")
    assert ended.returncode == 0, ended.stderr
    assert (may_be_used(sqlite_database, keys), may_be_used(new, keys)) == (True, False)
