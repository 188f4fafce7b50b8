"""Runs a PostgreSQL cluster that a test may crash, with commits as durable as an operator's.

Only the processes crash, never the machine: the files need not reach the disk, but what was committed
must be in them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from mailer import schema
from mailer.db import Database
from mailer.tokens import Keys
from tests.support import postgresql, temporary
from tests.support.factories import NOW


@dataclass(frozen=True)
class Cluster:
    """A server that runs from the start; its databases can be reached by socket and by TCP.

    Attributes:
        place: the folder with its socket, its log, and its files in `data`.
    """

    server: postgresql.Server
    place: Path
    port: int

    @contextmanager
    def database(self, keys: Keys, *, tcp: bool = False) -> Iterator[Database]:
        """A database with the current schema and its installation row."""
        url = make_url(self.server.create()).set(port=self.port)
        if tcp:
            url = URL.create(
                "postgresql", "mailer", host="127.0.0.1", port=self.port, database=url.database
            )
        database = Database(url.render_as_string(hide_password=False))
        try:
            schema.create(database, keys.fingerprint(), NOW)
            yield database
        finally:
            database.dispose()

    def crash(self) -> None:
        """End all its processes at once, without a word to clients."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start it, recover what was committed, and take connections again."""
        self._control("start", "-w", "-l", str(self.place / "log"))

    def start_again(self) -> None:
        """Start it unless it runs."""
        if not (self.place / "data" / "postmaster.pid").exists():
            self.start()

    def _control(self, *arguments: str) -> None:
        temporary.call(self.place / "bin" / "pg_ctl", *arguments, "-D", self.place / "data")


@contextmanager
def cluster(port: int) -> Iterator[Cluster]:
    """A cluster on this port of loopback, whatever server other tests use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(postgresql.VARIABLE, raising=False)
        with postgresql.server() as server:
            url = make_url(server.create())
            place = Path(str(url.query["host"]))
            settings = postgresql.SETTINGS | {
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": str(place),
            }
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            try:
                with engine.connect() as connection:
                    for name, value in settings.items():
                        connection.execute(text(f"ALTER SYSTEM SET {name} = '{value}'"))
            finally:
                engine.dispose()
            admin = url.set(port=port, database="postgres")
            found = Cluster(postgresql.Server(admin), place, port)
            found.crash()
            found.start()
            yield found
