"""The readers' pages over a real socket, on a database and a clock that the test holds."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import MetaData, Select, select

from mailer.app import App
from mailer.clock import Times
from mailer.db import Database
from mailer.models import Newsletter, Schedule, Subscription
from mailer.settings import load
from mailer.tokens import Keys, Purpose
from mailer.web import make_app
from mailer.web.amazon_sns import Get
from mailer.web.server import make_server
from tests.support import factories
from tests.support.factories import NOW
from tests.support.waiting import wait_until

BROWSER = "Browser/1"


@dataclass
class Answer:
    """What the server answered; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Website:
    """A running web role."""

    app: App
    port: int
    clock: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pass_time(self, duration: timedelta) -> None:
        self.clock[0] += duration

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            sent = {"User-Agent": BROWSER, **(headers or {})}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, text)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(
        self,
        path: str,
        fields: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        body = urlencode(fields or {}, doseq=True).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, body, {**kind, **(headers or {})})

    def link(self, purpose: Purpose, public_id: int, expires: datetime | None = None) -> str:
        """The path of a link in a mail."""
        page = purpose.name.lower().replace("_", "-")
        return f"/{page}/{self.app.keys.make(purpose, public_id, expires)}"

    def rows(self, statement: Select[Any]) -> list[Any]:
        """All that a query finds; of each row its first column."""
        with self.app.database.read() as session:
            return list(session.scalars(statement))

    def row(self, statement: Select[Any]) -> Any:
        """The only one that a query finds."""
        (found,) = self.rows(statement)
        return found

    def reader(
        self, schedule: Schedule, address: str = "reader@example.com", **values: Any
    ) -> Subscription:
        """A new reader of `schedule`."""
        with self.app.database.write() as session:
            return factories.reader(session, self.app.keys, schedule, address, **values)

    def close(self, newsletter: Newsletter) -> None:
        """Let no new readers into `newsletter`."""
        with self.app.database.write() as session:
            session.merge(newsletter).closed = True

    def content(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        return rows_of(self.app.database)


def rows_of(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of a database."""
    found = MetaData()
    found.reflect(database.engine)
    with database.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in found.sorted_tables
        }


@contextmanager
def serving(
    database: Database, keys: Keys, *, get: Get | None = None, **settings: str
) -> Iterator[Website]:
    """The web role on a free port of loopback; its clock stands still at NOW.

    `get` answers in the place of Amazon SNS.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    port = listening.getsockname()[1]
    environ = {
        "database_url": database.url.render_as_string(hide_password=False),
        "secret_key": ",".join(key.decode() for key in keys.secrets),
        "identity_key": keys.identity.decode(),
        "base_url": f"http://127.0.0.1:{port}",
        **settings,
    }
    clock = [NOW]
    values = load({f"MAILER_{name.upper()}": text for name, text in environ.items()}, None)
    app = App(
        settings=values,
        database=database,
        keys=keys,
        times=Times(wall=lambda: clock[0]),
    )
    server = make_server(make_app(app, get=get), values.trusted_proxies)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Website(app, port, clock)
    finally:
        server.should_exit = True
        thread.join(timeout=300)
        listening.close()
    assert not thread.is_alive()
