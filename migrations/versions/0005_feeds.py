"""Feeds that move, vanish or are held; where pictures come from; and what staff put in or edited.

Whether a feed's pictures are shown becomes where they come from. New columns of newsletters and articles
have a default or may be empty, so a program that only sends goes on working.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
FEED_COLUMNS = {
    "former_url": sa.Text(),
    "validators_url": sa.Text(),
    "retry_at": INSTANT,
    "alerted_at": INSTANT,
    "gone_at": INSTANT,
    "held_at": INSTANT,
}
ARTICLE_COLUMNS = ("edited_at", "page_read_at")


def upgrade() -> None:
    for name, kind in FEED_COLUMNS.items():
        op.add_column("feed", sa.Column(name, kind, nullable=True))
    for name in ARTICLE_COLUMNS:
        op.add_column("article", sa.Column(name, INSTANT, nullable=True))
    op.add_column(
        "newsletter_article",
        sa.Column("by_staff", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "feed",
        sa.Column("image_source", sa.String(length=32), nullable=False, server_default="feed"),
    )
    op.execute("UPDATE feed SET image_source = 'none' WHERE NOT images")
    op.drop_column("feed", "images")
    # The stored validators were sent by the address that the feed has.
    op.execute(
        "UPDATE feed SET validators_url = url WHERE etag IS NOT NULL OR last_modified IS NOT NULL"
    )
    op.create_table(
        "held_piece",
        sa.Column("feed_id", BIG, nullable=False),
        sa.Column("canonical_url", sa.Text(), nullable=False),
        sa.Column("guids", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("held_at", INSTANT, nullable=False),
        sa.Column("discarded_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["feed_id"], ["feed.id"], name=op.f("fk_held_piece_feed_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("feed_id", "canonical_url", name=op.f("pk_held_piece")),
    )


def downgrade() -> None:
    op.drop_table("held_piece")
    op.add_column(
        "feed", sa.Column("images", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.execute("UPDATE feed SET images = (image_source <> 'none')")
    op.drop_column("feed", "image_source")
    op.drop_column("newsletter_article", "by_staff")
    for name in ARTICLE_COLUMNS:
        op.drop_column("article", name)
    for name in FEED_COLUMNS:
        op.drop_column("feed", name)
