"""Slow and greedy clients: others are answered, and whoever is not is told when to come back."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import text

from mailer.db import Database
from mailer.tokens import Keys, Purpose
from mailer.web import request_limits, server
from tests.support import factories
from tests.support.waiting import wait_until
from tests.support.website import Answer, Website, serving

HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
HALF_A_BODY = (
    b"POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nemail="
)


@pytest.fixture
def one_click(sqlite_database: Database, keys: Keys) -> str:
    """The path by which a reader leaves."""
    with sqlite_database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        reader = factories.reader(session, keys, schedule, "r@example.com")
    return f"/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, reader.public_id)}"


@contextmanager
def connecting(website: Website) -> Iterator[Callable[..., socket.socket]]:
    """Opens connections, sends that much, and keeps them open until the end."""
    with ExitStack() as stack:

        def connect(sent: bytes, source: str = "127.0.0.1") -> socket.socket:
            address = ("127.0.0.1", website.port)
            found = socket.create_connection(address, timeout=20, source_address=(source, 0))
            stack.enter_context(found).sendall(sent)
            return found

        yield connect


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("sent", [HALF_A_HEAD, HALF_A_BODY])
def test_210_slow_connections_of_one_client_keep_nobody_from_an_answer(
    sqlite_database: Database, keys: Keys, one_click: str, sent: bytes, source: str
) -> None:
    with serving(sqlite_database, keys) as website, connecting(website) as connect:
        for _ in range(210):
            connect(sent, source)
        answers = [website.get(path) for path in ("/", "/healthz", "/readyz") * 3]
        answers.append(website.post(one_click, {"List-Unsubscribe": "One-Click"}))
    assert {answer.status for answer in answers} == {200}


def test_the_place_of_the_greediest_client_is_taken(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_WAITING", 3)
    with serving(sqlite_database, keys) as website, connecting(website) as connect:
        patient = connect(HALF_A_HEAD, "127.0.0.3")
        greedy = [connect(HALF_A_HEAD, "127.0.0.2") for _ in range(3)]
        # Its half a head may not have been read yet.
        with suppress(ConnectionResetError):
            assert greedy[0].recv(10) == b""
        for one in (patient, *greedy[1:]):
            one.sendall(b"\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"


def test_while_most_places_are_taken_heads_have_to_come_soon(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_WAITING", 4)
    monkeypatch.setattr(server, "HASTY_SECONDS", 0.1)
    monkeypatch.setattr(server, "HEAD_SECONDS", 600)
    with serving(sqlite_database, keys) as website, connecting(website) as connect:
        early = [connect(HALF_A_HEAD) for _ in range(3)]
        assert connect(HALF_A_HEAD).recv(10) == b""
        for one in early:
            one.sendall(b"\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("limit", "client", "other"),
    [("MOST_AT_ONCE", "198.51.100.1", 503), ("MOST_OF_ONE_CLIENT", "198.51.100.2", 200)],
)
def test_who_is_one_too_many_is_told_when_to_come_back(
    sqlite_database: Database,
    keys: Keys,
    one_click: str,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    client: str,
    other: int,
) -> None:
    """One request waits for the database meanwhile."""
    monkeypatch.setattr(request_limits, limit, 1)
    with (
        serving(sqlite_database, keys, trusted_proxies="127.0.0.1") as website,
        connecting(website) as connect,
        ThreadPoolExecutor() as pool,
    ):

        def ask(path: str, client: str = "198.51.100.1", method: str = "GET") -> Answer:
            return website.ask(method, path, headers={"X-Forwarded-For": client})

        def until_taken(*arguments: Any) -> Answer:
            while (answer := website.post(*arguments)).status == 503:
                pass
            return answer

        # Who has not sent the whole body yet takes no place.
        connect(HALF_A_BODY)
        assert ask("/").status == 200
        with sqlite_database.write() as session:
            session.execute(text("SELECT 1"))
            fields = {"email": "new@example.com"}
            slow = pool.submit(
                until_taken, "/subscribe", fields, {"X-Forwarded-For": "198.51.100.1"}
            )
            wait_until(lambda: ask("/").status == 503)
            refused, program = ask("/"), ask("/api/subscribe", method="POST")
            assert ask("/", client).status == other
            assert ask("/healthz").status == 200
            assert ask("/unsubscribe/bad", method="POST").status == 404
        assert slow.result().status == 200
        assert ask("/").status == 200
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["referrer-policy"] == "no-referrer"
    assert program.status == 503
    assert int(program.headers["retry-after"]) > 0
    assert "later" in program.body


def test_health_is_told_while_all_threads_wait_for_the_database(
    sqlite_database: Database, keys: Keys, one_click: str
) -> None:
    with (
        serving(sqlite_database, keys) as website,
        ThreadPoolExecutor(max_workers=45) as pool,
        sqlite_database.write() as session,
    ):
        session.execute(text("SELECT 1"))
        for _ in range(45):
            pool.submit(website.post, "/subscribe", {"email": "new@example.com"})
        # As many as there may be.
        wait_until(lambda: sum("AnyIO" in one.name for one in threading.enumerate()) >= 40)
        assert website.get("/healthz").status == 200


@pytest.mark.parametrize(
    "sent", [b"", HALF_A_HEAD, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HT", HALF_A_BODY]
)
def test_a_client_that_falls_silent_is_hung_up_on(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "BODY_SECONDS", 0.2)
    with serving(sqlite_database, keys) as website:
        with connecting(website) as connect:
            client = connect(sent)
            received: list[bytes] = []
            wait_until(lambda: received.append(client.recv(65536)) or received[-1] == b"")
        assert website.get("/healthz").status == 200


def test_a_client_that_drips_wins_no_time(
    sqlite_database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    with serving(sqlite_database, keys) as website, connecting(website) as connect:
        client = connect(b"GET / HTTP/1.1\r\n")
        client.settimeout(0.02)

        def is_hung_up_on() -> bool:
            try:
                client.sendall(b"x")
                return client.recv(10) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(is_hung_up_on, every=0.02)
