"""Runs the migrations on the connection that `mailer.schema` has prepared.

The transaction, the locks and SQLite's foreign keys are that module's business, not Alembic's.
"""

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Enum, ForeignKeyConstraint
from sqlalchemy.types import TypeDecorator

import mailer.models  # noqa: F401, because it fills Base.metadata.
from mailer.db import SQLITE_ONLY, Base


def render_item(kind: str, item: object, autogen_context: AutogenContext) -> str | bool:
    """Write plain column types: a migration must still run when the code's own types have changed."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


connection = context.config.attributes["connection"]


def include_object(
    item: object, _name: str | None, _kind: str, _reflected: bool, _compare_to: object
) -> bool:
    """Miss no foreign key that only SQLite has."""
    return (
        connection.dialect.name == "sqlite"
        or not isinstance(item, ForeignKeyConstraint)
        or not item.info.get(SQLITE_ONLY)
    )


context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # SQLite cannot alter most of a table: it is made anew.
    render_as_batch=True,
    render_item=render_item,
    include_object=include_object,
)
context.run_migrations()
