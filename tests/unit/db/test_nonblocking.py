"""Statements that are sent to PostgreSQL without waiting: values, errors, and connections that are lost."""

import select as selecting
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ARRAY, BigInteger, String, bindparam, column, func, select, text, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from mailer.db import Database, UTCDateTime, Writer, is_unusable
from mailer.db.nonblocking import NonblockingConnection
from mailer.db.prepared_statements import Among, Prepared, Queries, Query, Row, T
from mailer.models import Newsletter
from tests.support import factories, postgresql
from tests.support.factories import NOW
from tests.support.waiting import wait_until

UGLY = [
    "plain",
    'with "quotes"',
    r"with \ and \\",
    "{a,b}",
    "NULL",
    "null",
    "",
    " ",
    "Ջուր 💧",
    "a\nb\r\tc",
]
PID = Prepared(select(func.pg_backend_pid()), BigInteger())
RENAME = Prepared(
    update(Newsletter)
    .where(Among(Newsletter.id, "ids"))
    .values(slug=bindparam("new_slug", type_=String()))
    .returning(Newsletter.id, Newsletter.created_at),
    BigInteger(),
    UTCDateTime(),
)


@pytest.fixture
def writer(postgresql_database: Database) -> Iterator[Writer]:
    writer = postgresql_database.writer()
    yield writer
    writer.close()


@pytest.fixture
def connection(writer: Writer) -> NonblockingConnection:
    return writer.nonblocking()


def once(statement: Prepared, **values: Any) -> Queries[list[Row]]:
    return (yield Query(statement, values))


def result_of(connection: NonblockingConnection, queries: Queries[T]) -> T:
    result = connection.begin(queries)
    while result is None:
        wait(connection)
        result = connection.poll()
    assert connection.fileno() is None
    return result


def wait(connection: NonblockingConnection) -> None:
    number = connection.fileno()
    assert number is not None
    selecting.select([number], [], [], 0.01)


def unnested(**lists: Any) -> Prepared:
    parameters = [bindparam(name, type_=ARRAY(kind)) for name, kind in lists.items()]
    columns = [column(name, kind) for name, kind in lists.items()]
    return Prepared(
        select(func.unnest(*parameters).table_valued(*columns).render_derived()), *lists.values()
    )


def test_lists_of_every_type_come_back_as_they_went(connection: NonblockingConnection) -> None:
    moments: list[datetime | None] = [NOW, NOW + timedelta(microseconds=1), None]
    texts = [*UGLY, None]
    ids = [0, -1, 2**62, None, *range(4, len(texts))]
    moments += [None] * (len(texts) - len(moments))
    statement = unnested(words=String(), ids=BigInteger(), at=UTCDateTime())
    values = {"words": texts, "ids": ids, "at": moments}
    for _ in range(3):
        rows = result_of(connection, once(statement, **values))
        assert rows == list(zip(texts, ids, moments, strict=True))


@pytest.mark.parametrize("value", [*UGLY, None])
def test_a_text_comes_back_as_it_went(connection: NonblockingConnection, value: str | None) -> None:
    statement = Prepared(select(func.concat(bindparam("word", type_=String()), "!")), String())
    assert result_of(connection, once(statement, word=value)) == [((value or "") + "!",)]


def test_lists_may_be_empty_or_large(connection: NonblockingConnection) -> None:
    statement = unnested(words=String())
    assert result_of(connection, once(statement, words=[])) == []
    many = ["x" * 1000] * 20_000
    assert result_of(connection, once(statement, words=many)) == [(word,) for word in many]


@pytest.mark.parametrize("words", [["a\0b"], ["ok", "\0"]])
def test_a_nul_fails_only_its_statement(
    connection: NonblockingConnection, words: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        result_of(connection, once(unnested(words=String()), words=words))
    assert not is_unusable(caught.value)
    assert result_of(connection, once(PID))


def test_queries_get_the_rows_or_the_error_of_each_before_the_next(
    postgresql_database: Database, connection: NonblockingConnection
) -> None:
    with postgresql_database.write() as session:
        first, second = [factories.newsletter(session, slug=slug).id for slug in ("one", "two")]

    def renaming() -> Queries[list[str]]:
        seen = []
        for row, slug in ((first, "two"), (first, "three"), (second, "one")):
            try:
                rows = yield Query(RENAME, {"ids": [row], "new_slug": slug})
                seen.append(str([row_id for row_id, _ in rows] == [row]))
            except IntegrityError as error:
                seen.append(f"{error.statement} {error.params}")
        return seen

    assert result_of(connection, renaming()) == ["None None", "True", "True"]
    with postgresql_database.read() as session:
        slugs = session.scalars(select(Newsletter.slug).order_by(Newsletter.id)).all()
    assert slugs == ["three", "one"]


def test_what_has_no_query_is_known_at_once(connection: NonblockingConnection) -> None:
    def nothing() -> Queries[str]:
        return "done"
        yield

    assert connection.begin(nothing()) == "done"
    assert connection.fileno() is None
    assert connection.poll() is None


def test_many_executions_are_refused(connection: NonblockingConnection) -> None:
    def many() -> Queries[int]:
        yield Query(PID, [{}, {}])
        return 1

    with pytest.raises(TypeError):
        connection.begin(many())


def test_nothing_waits_while_the_server_does(
    postgresql_database: Database, writer: Writer, connection: NonblockingConnection
) -> None:
    with postgresql_database.write() as session:
        row = factories.newsletter(session).id
    with postgresql_database.write() as session:
        session.execute(select(Newsletter).with_for_update())
        assert connection.begin(once(RENAME, ids=[row], new_slug="late")) is None
        assert connection.poll() is None
    result = None
    while result is None:
        wait(connection)
        result = connection.poll()
    assert result == [(row, NOW)]


@contextmanager
def held_up(database: Database, connection: NonblockingConnection) -> Iterator[int]:
    """While a statement waits for a lock. It must not take effect. Returns the server's process."""
    with database.write() as session:
        row = factories.newsletter(session, slug="kept").id
    ((pid,),) = result_of(connection, once(PID))
    with database.write() as session:
        session.execute(select(Newsletter).with_for_update())
        assert connection.begin(once(RENAME, ids=[row], new_slug="late")) is None
        wait_until(lambda: connection.poll() or is_waiting(database, pid))
        yield pid
    with database.read() as session:
        assert session.scalar(select(Newsletter.slug)) == "kept"


def test_what_waits_for_a_lock_is_cancelled_when_the_connection_is_closed(
    postgresql_database: Database, writer: Writer, connection: NonblockingConnection
) -> None:
    with held_up(postgresql_database, connection) as pid:
        writer.close()
        wait_until(lambda: not is_waiting(postgresql_database, pid))


def is_waiting(database: Database, pid: int) -> bool:
    with database.read() as session:
        query = text("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = :pid")
        return bool(session.scalar(query, {"pid": pid}))


def terminate(database: Database, pid: int) -> None:
    with database.read() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})


def test_a_connection_that_was_ended_before_a_statement_is_noticed(
    postgresql_database: Database, writer: Writer, connection: NonblockingConnection
) -> None:
    ((pid,),) = result_of(connection, once(PID))
    terminate(postgresql_database, pid)
    assert_lost(connection, once(PID))
    writer.close()
    ((other,),) = result_of(writer.nonblocking(), once(PID))
    assert other != pid


def test_a_connection_that_is_ended_during_a_statement_is_noticed(
    postgresql_database: Database, connection: NonblockingConnection
) -> None:
    with held_up(postgresql_database, connection) as pid:
        terminate(postgresql_database, pid)
        assert_lost(connection, None)


def test_a_connection_that_is_ended_between_answer_and_poll_is_noticed(
    postgresql_database: Database, connection: NonblockingConnection
) -> None:
    with postgresql_database.write() as session:
        row = factories.newsletter(session).id
    ((pid,),) = result_of(connection, once(PID))

    def twice() -> Queries[list[Row]]:
        yield Query(RENAME, {"ids": [row], "new_slug": "first"})
        terminate(postgresql_database, pid)
        return (yield Query(RENAME, {"ids": [row], "new_slug": "second"}))

    assert_lost(connection, twice())
    with postgresql_database.read() as session:
        assert session.scalar(select(Newsletter.slug)) == "first"


def test_a_server_that_stops_is_noticed() -> None:
    with postgresql.server() as server:
        database = Database(server.create())
        writer = database.writer()
        connection = writer.nonblocking()
        ((pid,),) = result_of(connection, once(PID))
        sleeping = Prepared(select(func.pg_sleep(3600)), String())
        assert connection.begin(once(sleeping)) is None
        database.dispose()
        # Where a server of somebody else's is used, only this connection ends.
        terminate(database, pid)
    assert_lost(connection, None)
    with pytest.raises(OperationalError) as caught:
        writer.close()
        writer.nonblocking()
    assert is_unusable(caught.value)
    database.dispose()


def assert_lost(connection: NonblockingConnection, queries: Queries[Any] | None) -> None:
    with pytest.raises(DBAPIError) as caught:
        if queries is not None:
            result_of(connection, queries)
        while True:
            wait(connection)
            connection.poll()
    assert is_unusable(caught.value)
    assert caught.value.connection_invalidated
    assert connection.fileno() is None


@pytest.mark.parametrize("state", ["57014", "40001", "40P01", "53100", "57P03", "XX000"])
def test_an_error_of_the_server_keeps_its_state(
    connection: NonblockingConnection, postgresql_database: Database, state: str
) -> None:
    with postgresql_database.write() as session:
        session.execute(
            text(
                "CREATE FUNCTION fail(state text) RETURNS int LANGUAGE plpgsql "
                "AS $$ BEGIN RAISE EXCEPTION USING errcode = state; END $$"
            )
        )
    with pytest.raises(DBAPIError) as caught:
        result_of(connection, once(Prepared(select(func.fail(state)), BigInteger())))
    assert getattr(caught.value.orig, "sqlstate", None) == state
    assert is_unusable(caught.value)
    assert not caught.value.connection_invalidated


def test_only_what_need_not_be_durable_does_not_wait_for_the_disk(
    postgresql_database: Database,
) -> None:
    # The servers of these tests wait for no disk.
    with postgresql_database.engine.connect() as session:
        name = postgresql_database.url.database
        session.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = on'))
        session.commit()
    postgresql_database.dispose()
    writer = postgresql_database.writer()
    setting = Prepared(select(func.current_setting("synchronous_commit")), String())
    waits = [
        result_of(writer.nonblocking(durable=durable), once(setting)) for durable in (True, False)
    ]
    assert waits == [[("on",)], [("off",)]]
    writer.close()
