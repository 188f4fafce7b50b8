"""The journal of what no restore may undo, copies of the whole database, and what is forgotten in time.

The program that is still running when this begins goes on working: the new columns may be empty. What it does
until it stops is not in the journal.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
COLUMNS = (
    ("installation", "backup_started_at", INSTANT),
    ("installation", "backup_at", INSTANT),
    ("installation", "backup_error", sa.Text()),
    ("installation", "backup_alerted_at", INSTANT),
    ("installation", "restored_at", INSTANT),
    ("installation", "restored_backup_at", INSTANT),
    ("installation", "restored_without_journal", sa.Boolean()),
    ("installation", "moved_at", INSTANT),
    ("installation", "moved_to", sa.Text()),
    ("subscriber", "language", sa.String()),
    ("signup", "subscriber_id", BIG),
    ("notice", "review_id", BIG),
    ("article", "closed_at", INSTANT),
    ("digest", "purged_at", INSTANT),
)


def upgrade() -> None:
    op.create_table(
        "journal_entry",
        sa.Column("id", BIG, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=True),
        sa.Column("newsletter", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("replayed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "digest_count",
        sa.Column("digest_id", BIG, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["digest_id"], ["digest.id"], name=op.f("fk_digest_count_digest_id")
        ),
        sa.PrimaryKeyConstraint("digest_id", "name", name=op.f("pk_digest_count")),
    )
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))
    op.create_index("ix_signup_subscriber_id", "signup", ["subscriber_id"])


def downgrade() -> None:
    op.drop_index("ix_signup_subscriber_id", "signup")
    for table, name, _ in reversed(COLUMNS):
        op.drop_column(table, name)
    op.drop_table("digest_count")
    op.drop_table("journal_entry")
