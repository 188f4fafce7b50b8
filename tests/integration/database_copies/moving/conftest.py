"""The databases between which is moved."""

from collections.abc import Iterator

import pytest

from mailer.db import Database


@pytest.fixture
def new(postgresql_url: str) -> Iterator[Database]:
    """An empty database of PostgreSQL."""
    database = Database(postgresql_url)
    yield database
    database.dispose()
