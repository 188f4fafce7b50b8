"""What comes back of mails, what it means for a digest and an address, and which mailboxes it is read from.

What failed before this is not judged: those digests count as read. The program that is still running when
this begins goes on working: the new columns may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
HAS_FAILED = sa.text("status = 'failed'")
UNREAD = sa.text(
    "finished_at IS NOT NULL AND (failures_read_at IS NULL OR failures_read_at < finished_at)"
)
OF_A_DIGEST = (
    "resumed_at",
    "failures_read_at",
    "refusals_void_until",
    "bounces_withheld_at",
    "bounces_told_at",
    "complaints_warned_at",
)


def upgrade() -> None:
    op.create_table(
        "bounce_event",
        sa.Column("id", BIG, nullable=False),
        sa.Column("delivery_id", BIG, nullable=True),
        sa.Column("notice_id", BIG, nullable=True),
        sa.Column("digest_id", BIG, nullable=True),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("mailed_at", INSTANT, nullable=False),
        sa.Column("reported_at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_event")),
        sa.UniqueConstraint("delivery_id", "kind", name=op.f("uq_bounce_event_delivery_id_kind")),
        sa.UniqueConstraint("notice_id", "kind", name=op.f("uq_bounce_event_notice_id_kind")),
    )
    op.create_index("ix_bounce_event_digest_id_kind", "bounce_event", ["digest_id", "kind"])
    op.create_index("ix_bounce_event_key_hash", "bounce_event", ["key_hash"])
    op.create_index("ix_bounce_event_recorded_at", "bounce_event", ["recorded_at"])
    op.create_table(
        "mailbox_fetch",
        sa.Column("id", BIG, nullable=False),
        sa.Column("mailbox", sa.String(), nullable=False),
        sa.Column("fetched_at", INSTANT, nullable=True),
        sa.Column("failing_since", INSTANT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("alerted_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox_fetch")),
        sa.UniqueConstraint("mailbox", name=op.f("uq_mailbox_fetch_mailbox")),
    )
    op.add_column("installation", sa.Column("doctor_ran_at", INSTANT, nullable=True))
    op.add_column("installation", sa.Column("doctor_findings", sa.Text(), nullable=True))
    op.add_column("suppression", sa.Column("event_id", BIG, nullable=True))
    op.add_column("subscriber", sa.Column("reachable_at", INSTANT, nullable=True))
    for column in OF_A_DIGEST:
        op.add_column("digest", sa.Column(column, INSTANT, nullable=True))
    op.execute("UPDATE digest SET failures_read_at = finished_at WHERE finished_at IS NOT NULL")
    _partial_index("ix_digest_failures_unread", "digest", ["finished_at"], UNREAD)
    _partial_index("ix_delivery_failed", "delivery", ["digest_id", "id"], HAS_FAILED)
    _partial_index("ix_notice_failed", "notice", ["outcome_at"], HAS_FAILED)


def downgrade() -> None:
    op.drop_index("ix_notice_failed", "notice")
    op.drop_index("ix_delivery_failed", "delivery")
    op.drop_index("ix_digest_failures_unread", "digest")
    for column in OF_A_DIGEST:
        op.drop_column("digest", column)
    op.drop_column("subscriber", "reachable_at")
    op.drop_column("suppression", "event_id")
    op.drop_column("installation", "doctor_findings")
    op.drop_column("installation", "doctor_ran_at")
    op.drop_table("mailbox_fetch")
    op.drop_table("bounce_event")


def _partial_index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
