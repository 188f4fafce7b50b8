"""How many sign-ups a second the web role takes, against a bare Starlette that commits as much.

Both run on the same server with the same form parsing, and write to SQLite in the same folder with
synchronous=FULL. The yardstick inserts one row; a sign-up counts, asks and writes six.
"""

import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import text
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

sys.path.insert(0, str(Path(__file__).parent.parent))

from mailer import schema
from mailer.app import App
from mailer.clock import Times, utc_now
from mailer.db import Database
from mailer.settings import load
from mailer.tokens import Keys
from mailer.web import make_app
from mailer.web.server import make_server
from tests.support import factories

KEYS = Keys((b"s" * 40,), b"i" * 40)
CLIENTS = 8
REQUESTS = 250
ROUNDS = 3


def yardstick(database: Database) -> ASGIApp:
    """Reads a form and commits one row."""
    with database.write() as session:
        session.execute(text("CREATE TABLE bare (email TEXT)"))

    def write(email: str) -> None:
        with database.write() as session:
            session.execute(text("INSERT INTO bare VALUES (:email)"), {"email": email})

    async def post(request: Request) -> PlainTextResponse:
        async with request.form() as form:
            await run_in_threadpool(write, str(form["email"]))
        return PlainTextResponse("Check your inbox")

    return Starlette(routes=[Route("/subscribe", post, methods=["POST"])])


def ours(database: Database) -> ASGIApp:
    """The web role, with limits that let everything through."""
    schema.create(database, KEYS.fingerprint(), utc_now())
    with database.write() as session:
        factories.schedule(session, factories.newsletter(session))
    settings = load(
        {
            "MAILER_DATABASE_URL": database.url.render_as_string(),
            "MAILER_SECRET_KEY": "s" * 40,
            "MAILER_IDENTITY_KEY": "i" * 40,
            "MAILER_SIGNUP_LIMITS": "network=1000000/d,total=1000000/h",
        },
        None,
    )
    return make_app(App(settings, database, KEYS, Times()))


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """The port on which `app` is served."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def measure(port: int, run: int) -> tuple[float, list[float]]:
    """Requests a second of all clients together, and how long each request took."""
    took: list[float] = []

    def client(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for one in range(REQUESTS):
            email = f"reader{one}.{number}.{run}@example.com"
            begin = time.perf_counter()
            body = urlencode({"email": email, "newsletter": "daily"})
            connection.request("POST", "/subscribe", body, kind)
            answer = connection.getresponse()
            if answer.status != 200 or b"Check your inbox" not in answer.read():
                raise RuntimeError(f"answered {answer.status}")
            took.append(time.perf_counter() - begin)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return CLIENTS * REQUESTS / (time.perf_counter() - begin), took


def main() -> int:
    """Measure in turns, so that a busy moment hits both."""
    with tempfile.TemporaryDirectory() as folder:
        databases = [Database(f"sqlite:///{folder}/{name}.db") for name in ("bare", "ours")]
        with served(yardstick(databases[0])) as bare, served(ours(databases[1])) as own:
            rates: dict[int, list[float]] = {bare: [], own: []}
            took: dict[int, list[float]] = {bare: [], own: []}
            for run in range(ROUNDS):
                for port, found in rates.items():
                    rate, times = measure(port, run)
                    found.append(rate)
                    took[port] += times
        for database in databases:
            database.dispose()
    for port, name in ((bare, "bare Starlette, one INSERT"), (own, "sign-up")):
        slowest = statistics.quantiles(took[port], n=100)[98] * 1000
        print(f"{name:28}{statistics.median(rates[port]):8.0f} /s   p99 {slowest:6.1f} ms")
    ratio = statistics.median(rates[own]) / statistics.median(rates[bare])
    print(f"{'ratio':28}{ratio:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
