"""Fixtures for all tests: a real database on both engines, keys, a free port."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import make_url

from mailer import schema
from mailer.db import Database
from mailer.tokens import Keys
from tests.support import postgresql, temporary
from tests.support.factories import NOW

pytest_plugins = ["pytester", "tests.support.tiers"]

# How long an example takes says more about the machine than about the code.
# The same examples come every time, so that a red run speaks of the change; `make property` draws others.
settings.register_profile("house", deadline=None, derandomize=True)
settings.register_profile("property", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("house")

# A shell has what runs in its background ignore Ctrl-C, and so would all that is started from here.
signal.signal(signal.SIGINT, signal.default_int_handler)

KEYS = Keys(secrets=(b"secret key of the tests" * 2,), identity=b"identity key of the tests" * 2)


def _prepare(url: str) -> None:
    """Give an empty database the current schema and its installation row."""
    database = Database(url)
    try:
        schema.create(database, KEYS.fingerprint(), NOW)
    finally:
        database.dispose()


@pytest.fixture
def keys() -> Keys:
    """The keys that the test databases belong to."""
    return KEYS


@pytest.fixture(scope="session")
def _fast_folders() -> Iterator[Path]:
    with temporary.folder("mailer-test-") as place:
        yield place


@pytest.fixture
def fast_folder(_fast_folders: Path) -> Iterator[Path]:
    """A temporary folder in memory where there is one, because tests mostly wait for the disk."""
    with tempfile.TemporaryDirectory(dir=_fast_folders) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _prepare(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_database(_sqlite_template: Path, fast_folder: Path) -> Iterator[Database]:
    """A SQLite file with the current schema and its installation row."""
    path = fast_folder / "mailer.db"
    shutil.copyfile(_sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[postgresql.Server]:
    with postgresql.server() as server:
        yield server


@pytest.fixture(scope="session")
def _postgresql_template(_postgresql_server: postgresql.Server) -> Iterator[str]:
    url = _postgresql_server.create()
    _prepare(url)
    yield str(make_url(url).database)
    _postgresql_server.drop(url)


@pytest.fixture
def postgresql_url(_postgresql_server: postgresql.Server) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    url = _postgresql_server.create()
    yield url
    _postgresql_server.drop(url)


@pytest.fixture
def postgresql_database(
    _postgresql_server: postgresql.Server, _postgresql_template: str
) -> Iterator[Database]:
    """A PostgreSQL database with the current schema and its installation row."""
    url = _postgresql_server.create(_postgresql_template)
    database = Database(url)
    yield database
    database.dispose()
    _postgresql_server.drop(url)


@pytest.fixture
def postgresql_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts pg_dump and pg_restore of the tests' own server first in PATH."""
    path = f"{temporary.programs()}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with the current schema and its installation row, on each engine in turn."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, fast_folder: Path) -> str:
    """The URL of an empty database; parametrise it indirectly with "sqlite" and "postgresql"."""
    if request.param == "sqlite":
        return f"sqlite:///{fast_folder / 'empty.db'}"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
