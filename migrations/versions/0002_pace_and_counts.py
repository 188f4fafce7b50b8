"""Pace, counts and crashes, and rows that wait found by their digest.

The program that is still running when this begins is the one before it, and goes on working: new columns
have a default, and the index that it claims by is replaced by one that it can use.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WAITING = sa.text("status IN ('queued', 'deferred')")


def upgrade() -> None:
    op.create_table(
        "pace",
        sa.Column("id", BIG, nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_pace_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pace")),
    )
    op.create_table(
        "tally",
        sa.Column("worker_id", BIG, nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.ForeignKeyConstraint(["worker_id"], ["worker.id"], name=op.f("fk_tally_worker_id")),
        sa.PrimaryKeyConstraint("worker_id", "outcome", "reason", name=op.f("pk_tally")),
    )
    for table in ("delivery", "notice"):
        op.add_column(table, sa.Column("crashes", BIG, nullable=False, server_default="0"))
    op.add_column("worker", sa.Column("connections", BIG, nullable=False, server_default="0"))
    op.add_column("worker", sa.Column("note", sa.Text(), nullable=True))
    _index_waiting("digest_id", "next_attempt_at", "id")


def downgrade() -> None:
    _index_waiting("next_attempt_at", "id")
    op.drop_column("worker", "note")
    op.drop_column("worker", "connections")
    for table in ("notice", "delivery"):
        op.drop_column(table, "crashes")
    op.drop_table("tally")
    op.drop_table("pace")


def _index_waiting(*columns: str) -> None:
    op.drop_index("ix_delivery_waiting", "delivery")
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        list(columns),
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
