"""When staff decided that a delivery in doubt is left as it is.

The program that is still running when this begins goes on working: the new column may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IN_DOUBT = sa.text("status = 'unknown' AND dropped_at IS NULL")


def upgrade() -> None:
    op.add_column("delivery", sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_delivery_in_doubt",
        "delivery",
        ["digest_id"],
        sqlite_where=IN_DOUBT,
        postgresql_where=IN_DOUBT,
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_in_doubt", "delivery")
    op.drop_column("delivery", "dropped_at")
