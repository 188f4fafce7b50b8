"""What staff edit in a coming digest, articles dropped for good, and one-offs.

The program that is still running when this begins goes on working: the new column has a default.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
COMING = sa.text("digest_id IS NULL")


def upgrade() -> None:
    op.create_table(
        "chosen_article",
        sa.Column("schedule_id", BIG, nullable=False),
        sa.Column("article_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["article.id"],
            name=op.f("fk_chosen_article_article_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedule.id"],
            name=op.f("fk_chosen_article_schedule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "article_id", name=op.f("pk_chosen_article")),
    )
    op.create_table(
        "edits",
        sa.Column("id", BIG, nullable=False),
        sa.Column("schedule_id", BIG, nullable=False),
        sa.Column("digest_id", BIG, nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("intro_html", sa.Text(), nullable=True),
        sa.Column("intro_text", sa.Text(), nullable=True),
        sa.Column("lead_id", BIG, nullable=True),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["digest_id"], ["digest.id"], name=op.f("fk_edits_digest_id")),
        sa.ForeignKeyConstraint(["lead_id"], ["article.id"], name=op.f("fk_edits_lead_id")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_edits_schedule_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edits")),
        sa.UniqueConstraint("digest_id", name=op.f("uq_edits_digest_id")),
    )
    op.create_index(
        "uq_edits_schedule_id_coming",
        "edits",
        ["schedule_id"],
        unique=True,
        sqlite_where=COMING,
        postgresql_where=COMING,
    )
    op.create_table(
        "dropped_article",
        sa.Column("newsletter_id", BIG, nullable=False),
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("edits_id", BIG, nullable=True),
        sa.Column("dropped_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["article.id"],
            name=op.f("fk_dropped_article_article_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["edits_id"],
            ["edits.id"],
            name=op.f("fk_dropped_article_edits_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_dropped_article_newsletter_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "article_id", name=op.f("pk_dropped_article")),
    )
    op.create_index(op.f("ix_dropped_article_edits_id"), "dropped_article", ["edits_id"])
    op.add_column(
        "schedule",
        sa.Column("holds", sa.String(length=32), nullable=False, server_default="due"),
    )


def downgrade() -> None:
    op.drop_column("schedule", "holds")
    op.drop_index(op.f("ix_dropped_article_edits_id"), "dropped_article")
    op.drop_table("dropped_article")
    op.drop_index("uq_edits_schedule_id_coming", "edits")
    op.drop_table("edits")
    op.drop_table("chosen_article")
