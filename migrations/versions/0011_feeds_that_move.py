"""Where a feed has moved on another host, and until when a scheduler is fetching it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
COLUMNS = {"moved_url": sa.Text(), "moved_at": INSTANT, "fetching_until": INSTANT}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("feed", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("feed", name)
