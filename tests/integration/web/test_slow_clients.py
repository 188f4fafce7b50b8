"""Slow and greedy clients: others are answered, and whoever is not is told when to come back."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from sqlalchemy import select, text

from mailer.db import Database
from mailer.models import Schedule
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


Connect = Callable[..., socket.socket]


@pytest.fixture
def website(sqlite_database: Database, keys: Keys) -> Iterator[Website]:
    """The web role on SQLite, which believes a proxy on this machine, with one newsletter."""
    with sqlite_database.write() as session:
        factories.schedule(session, factories.newsletter(session))
    with serving(sqlite_database, keys, trusted_proxies="127.0.0.1") as website:
        yield website


@pytest.fixture
def connect(website: Website) -> Iterator[Connect]:
    """Opens a connection, sends that much, and keeps it open until the end."""
    with ExitStack() as stack:

        def connect(sent: bytes, source: str = "127.0.0.1") -> socket.socket:
            address = ("127.0.0.1", website.port)
            client = socket.create_connection(address, timeout=20, source_address=(source, 0))
            stack.enter_context(client).sendall(sent)
            return client

        yield connect


def goes_on(client: socket.socket) -> bool:
    """Whether half a head can be finished and is answered."""
    client.sendall(b"\r\n")
    return client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("sent", [HALF_A_HEAD, HALF_A_BODY])
def test_210_slow_connections_of_one_client_keep_nobody_from_an_answer(
    website: Website, connect: Connect, sent: bytes, source: str
) -> None:
    reader = website.reader(website.row(select(Schedule)))
    for _ in range(210):
        connect(sent, source)
    answers = [website.get(path) for path in ("/", "/healthz", "/readyz") * 3]
    one_click = website.link(Purpose.UNSUBSCRIBE, reader.public_id)
    answers.append(website.post(one_click, {"List-Unsubscribe": "One-Click"}))
    assert {answer.status for answer in answers} == {200}


def test_the_place_of_the_greediest_client_is_taken(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_WAITING", 3)
    patient = connect(HALF_A_HEAD, "127.0.0.3")
    greedy = [connect(HALF_A_HEAD, "127.0.0.2") for _ in range(3)]
    # Its half a head may not have been read yet.
    with suppress(ConnectionResetError):
        assert greedy[0].recv(10) == b""
    assert all(goes_on(client) for client in (patient, *greedy[1:]))


def test_while_most_places_are_taken_heads_have_to_come_soon(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_WAITING", 4)
    monkeypatch.setattr(server, "HASTY_SECONDS", 0.1)
    monkeypatch.setattr(server, "HEAD_SECONDS", 600)
    early = [connect(HALF_A_HEAD) for _ in range(3)]
    assert connect(HALF_A_HEAD).recv(10) == b""
    assert all(goes_on(client) for client in early)


@pytest.mark.parametrize(
    ("limit", "client", "other"),
    [("MOST_AT_ONCE", "198.51.100.1", 503), ("MOST_OF_ONE_CLIENT", "198.51.100.2", 200)],
)
def test_who_is_one_too_many_is_told_when_to_come_back(
    website: Website,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    client: str,
    other: int,
) -> None:
    """One request waits for the database meanwhile."""
    monkeypatch.setattr(request_limits, limit, 1)

    def ask(path: str, client: str = "198.51.100.1", method: str = "GET") -> Answer:
        return website.ask(method, path, headers={"X-Forwarded-For": client})

    def until_taken() -> Answer:
        fields, headers = {"email": "new@example.com"}, {"X-Forwarded-For": "198.51.100.1"}
        while (answer := website.post("/subscribe", fields, headers)).status == 503:
            pass
        return answer

    # Who has not sent the whole body yet takes no place.
    connect(HALF_A_BODY)
    assert ask("/").status == 200
    with ThreadPoolExecutor() as pool, website.app.database.write() as session:
        session.execute(text("SELECT 1"))
        slow = pool.submit(until_taken)
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


def test_health_is_told_while_all_threads_wait_for_the_database(website: Website) -> None:
    with ThreadPoolExecutor(max_workers=45) as pool, website.app.database.write() as session:
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
    website: Website,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    sent: bytes,
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "BODY_SECONDS", 0.2)
    client = connect(sent)
    received: list[bytes] = []
    wait_until(lambda: received.append(client.recv(65536)) or received[-1] == b"")
    assert website.get("/healthz").status == 200


def test_a_client_that_drips_wins_no_time(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
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
