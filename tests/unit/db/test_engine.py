"""Engines: which URLs they refuse, and how each connection is set up."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from mailer.db import Database
from mailer.errors import SettingsError


@pytest.mark.parametrize(
    ("query", "keepalives_idle", "tcp_user_timeout"),
    [({}, "15", "30000"), ({"keepalives_idle": "7", "tcp_user_timeout": "9000"}, "7", "9000")],
)
def test_a_server_that_vanishes_is_noticed_unless_the_url_says_otherwise(
    postgresql_database: Database,
    query: dict[str, str],
    keepalives_idle: str,
    tcp_user_timeout: str,
) -> None:
    url = postgresql_database.url.update_query_dict(query)
    database = Database(url.render_as_string(hide_password=False))
    for session_of in (database.read, database.write, database.heartbeat):
        with session_of() as session:
            told = session.connection().connection.driver_connection.info.get_parameters()
        assert told["keepalives_idle"] == keepalives_idle
        assert told["tcp_user_timeout"] == tcp_user_timeout
        assert told["connect_timeout"] == "10"
    database.dispose()


def test_sqlite_is_durable_checks_foreign_keys_and_overwrites_what_is_deleted(
    sqlite_database: Database,
) -> None:
    with sqlite_database.read() as session:
        found = [
            session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        ]
    assert found == ["wal", 2, 1, 1]


@pytest.mark.parametrize("url", ["", "mailer.db", "mysql://host/name", "nonsense://x", "sqlite"])
def test_a_url_that_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:///"):
        Database(url)


def test_an_error_shows_no_value_of_a_row(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught, database.write() as session:
        session.execute(text("INSERT INTO nothing VALUES (:name)"), {"name": "Anna Reader"})
    assert "Anna" not in str(caught.value)
