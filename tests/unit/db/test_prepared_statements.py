"""Prepared statements do what SQLAlchemy does with them: a release that changes that is noticed here."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, String, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from mailer.db import Database, UTCDateTime
from mailer.db.prepared_statements import Among, Ids, Prepared, Queries, Query, execute
from mailer.models import Holds, Newsletter, Schedule
from tests.support import factories
from tests.support.factories import NOW

COLUMNS = (Schedule.id, Schedule.holds, Schedule.max_age, Schedule.created_at)
RENAMING = (
    update(Newsletter)
    .where(Newsletter.id == bindparam("row", type_=Newsletter.id.type))
    .values(slug=bindparam("new_slug", type_=String()))
)


def some(where: ColumnElement[bool]) -> Any:
    until = Schedule.created_at <= bindparam("now", type_=UTCDateTime())
    return select(*COLUMNS).where(where, Schedule.holds == Holds.NONE, until).order_by(Schedule.id)


def test_values_and_rows_are_converted_as_sqlalchemy_converts_them(database: Database) -> None:
    age = timedelta(days=2)
    with database.write() as session:
        newsletter = factories.newsletter(session)
        ids = [
            factories.schedule(
                session, newsletter, name=f"n{holds}", holds=holds, max_age=age, created_at=NOW
            ).id
            for holds in Holds
        ]
    prepared = Prepared(some(Among(Schedule.id, "ids")), *(column.type for column in COLUMNS))
    with database.read() as session:
        rows = prepared.execute(session, {"ids": ids, "now": NOW})
        by_sqlalchemy = session.execute(some(Schedule.id.in_(ids)), {"now": NOW})
        assert rows == [tuple(row) for row in by_sqlalchemy] == [(ids[-1], Holds.NONE, age, NOW)]
        assert prepared.execute(session, {"ids": [], "now": NOW}) == []


def test_a_statement_is_executed_for_many_values(database: Database) -> None:
    with database.write() as session:
        ids = [factories.newsletter(session, slug=slug).id for slug in ("one", "two")]
        Prepared(RENAMING).execute_many(session, [{"row": i, "new_slug": f"s{i}"} for i in ids])
    with database.read() as session:
        slugs = session.scalars(select(Newsletter.slug).order_by(Newsletter.id)).all()
    assert slugs == [f"s{row}" for row in ids]


def test_an_error_is_sqlalchemys_and_shows_no_value(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.write() as session:
        row = [factories.newsletter(session, slug=slug).id for slug in ("one", "two")][1]
        Prepared(RENAMING).execute(session, {"row": row, "new_slug": "one"})
    assert (caught.value.statement, caught.value.params) == (None, None)


def test_rows_are_read_only_if_their_types_are_given(database: Database) -> None:
    length = func.json_array_length if database.is_sqlite else func.cardinality
    statement = select(length(bindparam("ids", type_=Ids())))
    with database.read() as session:
        assert Prepared(statement).execute(session, {"ids": [1, 2]}) == []
        assert Prepared(statement, Newsletter.id.type).execute(session, {"ids": [1, 2]}) == [(2,)]


def test_queries_get_the_rows_or_the_error_of_each_before_the_next(database: Database) -> None:
    slugs_of = Prepared(
        select(Newsletter.slug).where(Among(Newsletter.id, "ids")).order_by(Newsletter.id), String()
    )
    rename = Prepared(RENAMING)

    def swapping(ids: list[int]) -> Queries[list[str]]:
        (first,), (second,) = yield Query(slugs_of, {"ids": ids})
        renamed = [{"row": row, "new_slug": f"s{row}"} for row in ids]
        assert (yield Query(rename, [*renamed])) == []
        yield Query(rename, {"row": ids[0], "new_slug": second})
        yield Query(rename, {"row": ids[1], "new_slug": first})
        return [slug for (slug,) in (yield Query(slugs_of, {"ids": ids}))]

    def failing(ids: list[int]) -> Queries[str]:
        try:
            yield Query(rename, {"row": ids[0], "new_slug": "one"})
        except IntegrityError as error:
            return type(error).__name__
        return "no error"

    with database.write() as session:
        ids = [factories.newsletter(session, slug=slug).id for slug in ("one", "two")]
        assert execute(swapping(ids), session.connection()) == ["two", "one"]
    with database.write() as session:
        assert execute(failing(ids), session.connection()) == "IntegrityError"
        session.rollback()
