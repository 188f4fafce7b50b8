"""Runs the migrations on the connection that `mailer.operations.schema` has prepared.

The transaction, the locks and SQLite's foreign keys are that module's business, not Alembic's.
"""

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Enum
from sqlalchemy.types import TypeDecorator

import mailer.models  # noqa: F401, because it fills Base.metadata.
from mailer.db import Base


def render_item(kind: str, item: object, autogen_context: AutogenContext) -> str | bool:
    """Write plain column types: a migration must still run when the code's own types have changed."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most of a table: it is made anew.
    render_as_batch=True,
    render_item=render_item,
)
context.run_migrations()
