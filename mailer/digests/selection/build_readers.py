"""Records the readers of a build with their groups once, for choosing and for writing.

Walking through what each reader has had is the most expensive step of a build. The table is a temporary one
of the build's connection: nobody else sees it, and it is gone when the connection is closed.
"""

from typing import Final

from sqlalchemy import Boolean, Column, MetaData, Table, Text, insert, text
from sqlalchemy.orm import Session

from mailer.db import BigId
from mailer.digests.selection.choose import ReaderGroup
from mailer.digests.selection.reader_groups import Frame, GroupedReaders, load_groups

BUILD_READERS: Final = Table(
    "build_reader",
    MetaData(),
    Column("subscription_id", BigId, nullable=False),
    Column("subscriber_id", BigId, nullable=False),
    Column("start", BigId, nullable=False),
    Column("newcomer", Boolean, nullable=False),
    Column("had", Text, nullable=False),
    prefixes=["TEMPORARY"],
)
"""A row for each reader, with the columns of `reader_groups.grouped_readers`."""


def record_build_readers(
    session: Session, readers: GroupedReaders, frame: Frame
) -> list[ReaderGroup]:
    """Write these readers into the temporary table, and count those in each group."""
    BUILD_READERS.create(session.connection(), checkfirst=False)
    session.execute(insert(BUILD_READERS).from_select(BUILD_READERS.columns.keys(), readers))
    note_size(session, BUILD_READERS)
    return load_groups(session, BUILD_READERS, frame)


def note_size(session: Session, table: Table) -> None:
    """Tell PostgreSQL how many rows a temporary table has, which it counts only in other tables itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ANALYZE {table.name}"))
