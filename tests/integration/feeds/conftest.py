import pytest

from mailer.db import Database
from mailer.models import Newsletter
from tests import factories
from tests.integration.feeds.web import Web


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def daily(database: Database) -> Newsletter:
    with database.write() as session:
        return factories.newsletter(session, "daily")


@pytest.fixture
def weekly(database: Database) -> Newsletter:
    with database.write() as session:
        return factories.newsletter(session, "weekly")
