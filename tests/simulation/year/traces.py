"""Searches files and a PostgreSQL database for what is left of people who were erased.

Not in backups made before, in the files that were imported, or in mailboxes: nobody erases those.
"""

from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql

from tests.simulation.year.people import YearPeople


def search_files(people: YearPeople, files: Iterable[Path], of: str) -> int:
    """Nothing of anybody erased is in these files, in any coding; how many traces were looked for."""
    traces = _traces(people)
    for path in files:
        content = path.read_bytes().lower()
        for trace in traces:
            for coding in ("utf-8", "utf-16-le"):
                people.check(
                    trace.lower().encode(coding) not in content,
                    f"{of}: {trace!r} of somebody erased is in {path.name}",
                )
    return len(traces)


def search_postgresql(people: YearPeople, url: str) -> int:
    """Nothing of anybody erased is in any column of any table, as text; how many columns were read."""
    traces = [trace.lower() for trace in _traces(people)]
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table, column, kind in columns:
            name = sql.Identifier(schema, table), sql.Identifier(column)
            text = "encode({}, 'escape')" if kind == "bytea" else "{}::text"
            query = sql.SQL("SELECT DISTINCT lower(" + text + ") FROM {}").format(name[1], name[0])
            values = "\n".join(row[0] for row in connection.execute(query) if row[0])
            for trace in traces:
                people.check(
                    trace not in values,
                    f"{trace!r} of somebody erased is in {schema}.{table}.{column}",
                )
    return len(columns)


def _traces(people: YearPeople) -> list[str]:
    """Addresses and names of all who are erased and did not come back."""
    reading = {one.address for one in people.model.readers}
    names = {one.name for one in people.model.readers}
    found: set[str] = set()
    for _, address, name in people.years.erased:
        found |= {text for text in (address,) if text not in reading}
        found |= {text for text in (name,) if text and text not in names}
    return sorted(found)
