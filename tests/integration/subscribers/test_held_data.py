"""Subject access shows something of every table that holds people, also of one that is added later."""

from datetime import timedelta
from typing import Final

from mailer.db import Base, Database
from mailer.newsletters.offer import Publisher
from mailer.subscribers.rights.held_data import Retention, held_data
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

ADDRESS: Final = "anna@whole.example"

SHOWN: Final = {
    "subscriber": "since",
    "subscription": "subscriptions",
    "signup": "signups",
    "consent_event": "consent",
    "delivery": "digests",
    "notice": "notices",
    "bounce_event": "returned",
    "suppression": "suppressions",
    "journal_entry": "journal",
}
"""Where in the document each table is that holds people."""

NAMES_PEOPLE: Final = {"key_hash", "subscriber_id", "address", "ip", "user_agent"}


def test_everything_that_is_held_is_in_the_document(database: Database, keys: Keys) -> None:
    holding = {
        table.name
        for table in Base.metadata.sorted_tables
        if NAMES_PEOPLE & set(table.columns.keys())
    }
    assert holding == set(SHOWN)
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.whole_person(session, keys, schedule, ADDRESS, name="Anna Muster")
    with database.read() as session:
        retention = Retention(timedelta(days=1))
        key_hash = keys.key_hash(ADDRESS)
        document = held_data(session, key_hash, ADDRESS, Publisher(), retention, now=NOW).as_json()
        of_others = held_data(
            session, keys.key_hash("other@whole.example"), ADDRESS, Publisher(), retention, now=NOW
        )
    assert [place for place in SHOWN.values() if not document[place]] == []
    assert of_others.is_empty
