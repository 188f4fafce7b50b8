"""What a build asks of the ledger, and what it writes for each reader, at less cost.

The ledger has words of editions, by which a build reads what readers have had, and no index any more that
every mail that is sent would change. PostgreSQL loses the foreign keys whose triggers took longer than the
rows that builds write, and leaves room on the pages of subscriptions. The ledger of SQLite is made anew.
"""

from contextlib import AbstractContextManager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_GIVEN_BACK = sa.text("status IN ('failed', 'skipped', 'cancelled')")
FILLED_BY_BUILDS = [
    ("delivery", "digest_id", "digest"),
    ("delivery", "edition_id", "edition"),
    ("delivery", "subscriber_id", "subscriber"),
    ("delivery", "subscription_id", "subscription"),
    ("subscription", "first_digest_id", "digest"),
]


def upgrade() -> None:
    op.drop_index("ix_delivery_edition_id", "delivery")
    op.drop_index("ix_delivery_subscriber_id_edition_id_status", "delivery")
    with _ledger() as ledger:
        ledger.add_column(
            sa.Column(
                "edition_word",
                BIG,
                sa.Computed("edition_id / 32", persisted=True),
                nullable=False,
            )
        )
    op.create_index("ix_delivery_word", "delivery", ["edition_word", "subscriber_id", "edition_id"])
    op.create_index(
        "ix_delivery_given_back",
        "delivery",
        ["subscriber_id", "edition_word", "edition_id"],
        sqlite_where=IS_GIVEN_BACK,
        postgresql_where=IS_GIVEN_BACK,
    )
    if op.get_context().dialect.name == "postgresql":
        for table, column, _ in FILLED_BY_BUILDS:
            op.drop_constraint(f"fk_{table}_{column}", table, type_="foreignkey")
        op.execute("ALTER TABLE subscription SET (fillfactor = 50)")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE subscription RESET (fillfactor)")
        for table, column, target in FILLED_BY_BUILDS:
            op.create_foreign_key(f"fk_{table}_{column}", table, target, [column], ["id"])
    op.drop_index("ix_delivery_given_back", "delivery")
    op.drop_index("ix_delivery_word", "delivery")
    with _ledger() as ledger:
        ledger.drop_column("edition_word")
    op.create_index(
        "ix_delivery_subscriber_id_edition_id_status",
        "delivery",
        ["subscriber_id", "edition_id", "status"],
    )
    op.create_index("ix_delivery_edition_id", "delivery", ["edition_id"])


def _ledger() -> AbstractContextManager[BatchOperations]:
    # SQLite adds no stored column to a table that is there, and takes none away.
    return op.batch_alter_table(
        "delivery", recreate="auto", table_kwargs={"sqlite_autoincrement": True}
    )
