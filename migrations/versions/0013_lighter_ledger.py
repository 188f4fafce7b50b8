"""A ledger of which a change of status touches less: no index has the status of every delivery any more.

PostgreSQL leaves room for the new version of a row beside the old one; that holds for rows to come. It loses
the foreign keys whose trigger each claimed row called.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CLAIMED = ("delivery", "notice")
IS_HELD = sa.text("status IN ('claimed', 'sending')")


def upgrade() -> None:
    op.drop_index("ix_delivery_digest_id_status", "delivery")
    _index_held("digest_id", "worker_id")
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE delivery SET (fillfactor = 50)")
        for table in CLAIMED:
            op.drop_constraint(f"fk_{table}_worker_id", table, type_="foreignkey")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in CLAIMED:
            op.create_foreign_key(f"fk_{table}_worker_id", table, "worker", ["worker_id"], ["id"])
        op.execute("ALTER TABLE delivery RESET (fillfactor)")
    _index_held("worker_id")
    op.create_index("ix_delivery_digest_id_status", "delivery", ["digest_id", "status"])


def _index_held(*columns: str) -> None:
    op.drop_index("ix_delivery_held", "delivery")
    op.create_index(
        "ix_delivery_held",
        "delivery",
        list(columns),
        sqlite_where=IS_HELD,
        postgresql_where=IS_HELD,
    )
