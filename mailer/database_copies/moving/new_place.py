"""Opens the database that everything is to be moved to, and says of its errors that they are that one's.

Never shows a password.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from mailer.database_copies.exclusive import exclusive
from mailer.db import Database, explain
from mailer.errors import DatabaseUnavailable, Refused


def place_of(url: URL) -> str:
    """Write where a database is: the URL without its password and options, except host and port."""
    options = {name: url.query[name] for name in ("host", "port") if name in url.query}
    plain = URL.create(
        url.get_backend_name(), url.username, None, url.host, url.port, url.database, options
    )
    return plain.render_as_string()


@contextmanager
def new_place(url: str, *, lease: timedelta, now: datetime) -> Iterator[tuple[Connection, str]]:
    """Give the only connection to the new database, see `exclusive`, and its URL without the password.

    Args:
        url: of PostgreSQL, with its password if it needs one.

    Raises:
        Refused: it is not PostgreSQL, somebody uses it, or this user may not make tables there.
        DatabaseUnavailable: it cannot be reached.
        DBAPIError: a statement of ours is wrong.
    """
    database = Database(url)
    if database.is_sqlite:
        database.dispose()
        raise Refused(
            "a database can be moved to PostgreSQL only; to have SQLite in another place, "
            "stop all processes and use `mailer db backup` and `mailer db restore`"
        )
    place = place_of(database.url)
    try:
        with exclusive(database, lease=lease, now=now, name="the new database") as connection:
            yield connection, place
    except DBAPIError as error:
        reason = next(iter(str(error.orig).strip().splitlines()), "no reason given")
        # 42501: insufficient privilege.
        if getattr(error.orig, "sqlstate", None) == "42501":
            raise Refused(
                f"the user of {place} may not do there what is needed ({reason}); make it the owner, "
                "as `createdb --owner USER NAME` does"
            ) from error
        if explain(error) is None:
            raise
        raise DatabaseUnavailable(
            f"the new database {place} cannot be used ({reason}); check the URL, then try again"
        ) from error
    finally:
        database.dispose()
