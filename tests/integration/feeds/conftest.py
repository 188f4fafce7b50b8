import pytest

from mailer.db import Database
from tests.integration.feeds.web import Web


@pytest.fixture
def web(database: Database) -> Web:
    return Web(database)
