"""Listens to what is asked of a database, for tests that say how much that may be."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from mailer.db import Database


class Statements(list[str]):
    """Statements in their order, and the values that each was run with."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[object] = []


@contextmanager
def statements(database: Database) -> Iterator[Statements]:
    """All statements that run until the end, as they run."""
    seen = Statements()

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        seen.append(statement)
        seen.values.append(values)

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)
