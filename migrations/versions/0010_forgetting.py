"""Requests are counted by themselves and no longer as notices, and what is forgotten in time has indexes.

Counting begins anew: a network that had reached its limit may ask again at once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
PUT_OFF = sa.text("not_before > created_at")
HAS_CLIENT = sa.text("ip IS NOT NULL OR user_agent IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "client_request",
        sa.Column("id", BIG, nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("wider_network", sa.String(), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_request")),
    )
    op.create_index("ix_client_request_at", "client_request", ["at"])
    for column in ("network", "wider_network"):
        op.create_index(f"ix_client_request_{column}_at", "client_request", [column, "at"])
    op.drop_index("ix_notice_network_created_at", "notice")
    op.drop_column("notice", "network")
    op.create_index("ix_notice_signup_id", "notice", ["signup_id"])
    op.create_index("ix_notice_outcome_at", "notice", ["outcome_at"])
    op.create_index(
        "ix_notice_put_off",
        "notice",
        ["not_before"],
        sqlite_where=PUT_OFF,
        postgresql_where=PUT_OFF,
    )
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
    op.drop_index("ix_notice_put_off", "notice")
    op.drop_index("ix_notice_outcome_at", "notice")
    op.drop_index("ix_notice_signup_id", "notice")
    op.add_column("notice", sa.Column("network", sa.String(), nullable=True))
    op.create_index("ix_notice_network_created_at", "notice", ["network", "created_at"])
    op.drop_table("client_request")
