"""Runs a real PostgreSQL for tests: one throw-away cluster in a temporary folder, on a Unix socket.

Works as any user. Never touches a cluster that it did not make, except the one that TEST_POSTGRESQL_URL
names.
"""

import contextlib
import os
from collections.abc import Iterator
from itertools import count

from sqlalchemy import URL, create_engine, make_url, text

from tests.support import temporary

VARIABLE = "TEST_POSTGRESQL_URL"

# Durability is not what tests measure, and waiting for the disk is most of what they would do.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "timezone": "UTC",
}

# A server's own defaults, for measuring what a commit costs.
DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "autovacuum": "on",
}

_numbers = count(1)


class Server:
    """A PostgreSQL server on which tests may make databases."""

    def __init__(self, admin: URL) -> None:
        self._admin = admin
        self._prefix = f"test_{os.getpid()}"

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy of `template`; its URL."""
        name = f"{self._prefix}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self._admin.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database that `create` made, whoever is still connected to it."""
        self._run(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        engine = create_engine(self._admin, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """The server that TEST_POSTGRESQL_URL names, or a cluster of our own that ends with the block.

    Args:
        durable: a cluster of our own keeps its files on the disk and waits for it at each commit.

    Raises:
        RuntimeError: there is none; the tests fail rather than leave an engine out.
    """
    if url := os.environ.get(VARIABLE):
        yield Server(make_url(url))
        return
    settings = SETTINGS | (DURABLE if durable else {})
    with temporary.folder("mailer-pg-", cluster=settings, on_disk=durable) as place:
        yield Server(URL.create("postgresql", "mailer", database="postgres",
                                query={"host": str(place)}))  # fmt: skip
