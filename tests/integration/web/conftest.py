"""A newspaper with two newsletters on the web, on each database in turn."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import pytest

from mailer.db import Database
from mailer.models import Newsletter, Schedule
from mailer.tokens import Keys
from tests.support import factories
from tests.support.website import Website, serving


@dataclass
class Paper:
    """Two newsletters; the first comes out every morning or on Saturdays."""

    daily: Newsletter
    sport: Newsletter
    morning: Schedule
    weekly: Schedule
    sport_daily: Schedule


@pytest.fixture
def paper(database: Database) -> Paper:
    """The newsletters `daily` (morning, weekly) and `sport` (evening)."""
    with database.write() as session:
        daily = factories.newsletter(session)
        sport = factories.newsletter(session, "sport", title="Sport")
        return Paper(
            daily,
            sport,
            factories.schedule(session, daily),
            factories.schedule(session, daily, "weekly", days="sat"),
            factories.schedule(session, sport, "evening"),
        )


Serve = Callable[..., AbstractContextManager[Website]]


@pytest.fixture
def serve(database: Database, keys: Keys, paper: Paper) -> Serve:
    """Runs the web role with settings."""
    return partial(serving, database, keys)


@pytest.fixture
def website(serve: Serve) -> Iterator[Website]:
    """The web role with the default settings."""
    with serve() as found:
        yield found
