"""Indexes for what is forgotten in time, so that forgetting reads no whole table."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

HAS_CLIENT = sa.text("ip IS NOT NULL OR user_agent IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_notice_signup_id", "notice", ["signup_id"])
    op.create_index("ix_notice_outcome_at", "notice", ["outcome_at"])
    op.create_index("ix_consent_event_signup_public_id", "consent_event", ["signup_public_id"])
    for table, column in (("consent_event", "at"), ("signup", "created_at")):
        op.create_index(
            f"ix_{table}_client",
            table,
            [column],
            sqlite_where=HAS_CLIENT,
            postgresql_where=HAS_CLIENT,
        )


def downgrade() -> None:
    for table in ("signup", "consent_event"):
        op.drop_index(f"ix_{table}_client", table)
    op.drop_index("ix_consent_event_signup_public_id", "consent_event")
    op.drop_index("ix_notice_outcome_at", "notice")
    op.drop_index("ix_notice_signup_id", "notice")
