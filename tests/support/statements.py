"""Listens to what is asked of a database, for tests that say how much that may be."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, event

from mailer.db import Database
from mailer.db.prepared_statements import Prepared


class Statements(list[str]):
    """Statements in their order, and the values that each was run with."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[object] = []


@contextmanager
def statements(database: Database) -> Iterator[Statements]:
    """All statements that run until the end, as they run; prepared ones on any database."""
    seen = Statements()

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        seen.append(statement)
        seen.values.append(values)

    whole = Prepared._answer

    def answer(prepared: Prepared, connection: Connection, cursor: Any, values: Any) -> Any:
        note(None, None, prepared.compiled_for(connection.dialect).sql, values)
        return whole(prepared, connection, cursor, values)

    event.listen(database.engine, "before_cursor_execute", note)
    with patch.object(Prepared, "_answer", answer):
        yield seen
    event.remove(database.engine, "before_cursor_execute", note)
