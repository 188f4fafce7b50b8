"""Which slot's build failed, how often, and when it is tried again.

The program that is still running when this begins goes on working: the new columns may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("schedule", sa.Column("failed_slot", sa.String(), nullable=True))
    op.add_column("schedule", sa.Column("failed_builds", BIG, server_default="0", nullable=False))
    op.add_column("schedule", sa.Column("next_build_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("schedule", "next_build_at")
    op.drop_column("schedule", "failed_builds")
    op.drop_column("schedule", "failed_slot")
