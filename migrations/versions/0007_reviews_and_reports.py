"""Reviews before a digest, and when the report after it was written.

What was sent before this is reported as it is: nobody gets a report about it any more. The program that is
still running when this begins goes on working: the new columns may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
UNREPORTED = sa.text("status = 'sent' AND reported_at IS NULL")


def upgrade() -> None:
    op.add_column("schedule", sa.Column("review", sa.Integer(), nullable=True))
    op.add_column("digest", sa.Column("reported_at", INSTANT, nullable=True))
    op.execute("UPDATE digest SET reported_at = finished_at WHERE status = 'sent'")
    op.create_index(
        "ix_digest_unreported",
        "digest",
        ["id"],
        sqlite_where=UNREPORTED,
        postgresql_where=UNREPORTED,
    )
    op.create_table(
        "review",
        sa.Column("id", BIG, nullable=False),
        sa.Column("schedule_id", BIG, nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("notice_id", BIG, nullable=True),
        sa.Column("send_asked_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_review_notice_id")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_review_schedule_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_review_notice_id")),
        sa.UniqueConstraint("schedule_id", "slot", name=op.f("uq_review_schedule_id_slot")),
    )


def downgrade() -> None:
    op.drop_table("review")
    op.drop_index("ix_digest_unreported", "digest")
    op.drop_column("digest", "reported_at")
    op.drop_column("schedule", "review")
