"""The roll of a build: its readers with their groups, taken down once for choosing and for writing.

To walk through what each reader has had is the dearest thing that a build does. The roll is a temporary
table of the build's connection: nobody else sees it, and it is gone when the connection is closed.
"""

from typing import Final

from sqlalchemy import Boolean, Column, MetaData, Table, Text, insert, text
from sqlalchemy.orm import Session

from mailer.db import BigId
from mailer.digests.selection.choose import Group
from mailer.digests.selection.reader_groups import Frame, Readers, count_by_group

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
"""A reader a row, with the columns of `mailer.digests.selection.reader_groups.grouped_readers`."""


def record_build_readers(session: Session, readers: Readers, frame: Frame) -> list[Group]:
    """Take down these readers; their groups, and how many are in each."""
    BUILD_READERS.create(session.connection(), checkfirst=False)
    session.execute(insert(BUILD_READERS).from_select(BUILD_READERS.columns.keys(), readers))
    note_size(session, BUILD_READERS)
    return count_by_group(
        session, frame, BUILD_READERS.c.start, BUILD_READERS.c.newcomer, BUILD_READERS.c.had
    )


def note_size(session: Session, table: Table) -> None:
    """Let PostgreSQL know how many rows a temporary table has, which it finds out of others by itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ANALYZE {table.name}"))
