"""Finds where a person's traces are: in which columns of all tables, and in which files."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import inspect, text

from mailer.db import Database

_SYSTEM = ("information_schema", "pg_catalog", "pg_toast")


def columns_of(url: str, *words: str) -> list[str]:
    """Name the columns in which one of these words occurs, of the database with this URL."""
    database = Database(url)
    try:
        return columns_with(database, *words)
    finally:
        database.dispose()


def columns_with(database: Database, *words: str) -> list[str]:
    """Name each column of each table, in all schemas of ours, in which one of these words occurs."""
    found = []
    inspector = inspect(database.engine)
    with database.read() as session:
        for schema in inspector.get_schema_names():
            if schema in _SYSTEM:
                continue
            for table in inspector.get_table_names(schema):
                for column in inspector.get_columns(table, schema):
                    name = f'"{schema}"."{table}"."{column["name"]}"'
                    place = f'"{schema}"."{table}"'
                    # As text, whatever its type: what holds an address need not be called so.
                    has = " OR ".join(
                        f"lower(CAST({name.rsplit('.', 1)[1]} AS TEXT)) LIKE :word{index}"
                        for index, _ in enumerate(words)
                    )
                    values = {
                        f"word{index}": f"%{word.lower()}%" for index, word in enumerate(words)
                    }
                    number = session.scalar(
                        text(f"SELECT count(*) FROM {place} WHERE {has}"), values
                    )
                    if number:
                        found.append(name)
    return found


def files_with(folder: Path, *words: str) -> list[str]:
    """Name each file below this folder that holds one of these words, in any letter case."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and contains(path.read_bytes(), words)
    ]


def contains(data: bytes, words: Sequence[str]) -> bool:
    """Whether these bytes hold one of these words."""
    return any(word.lower().encode() in data.lower() for word in words)
