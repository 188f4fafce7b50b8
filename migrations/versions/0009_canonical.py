"""Canonical addresses as they are made now: without a slash at the end, and without sessions.

Two articles that would get the same one keep theirs: both may have been sent, and neither is news.
"""

import sqlalchemy as sa
from alembic import op

from mailer.feeds.canonical import canonical_url

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ARTICLE = sa.table("article", sa.column("canonical_url"))
HELD = sa.table("held_piece", sa.column("feed_id"), sa.column("canonical_url"))


def upgrade() -> None:
    _make_anew(ARTICLE, [])
    _make_anew(HELD, [HELD.c.feed_id])


def downgrade() -> None:
    """The mailer before this one knows the pieces by their guids, and by addresses from the next fetch on."""


def _make_anew(table: sa.TableClause, owner: list[sa.ColumnClause[int]]) -> None:
    connection = op.get_bind()
    known = {tuple(row) for row in connection.execute(sa.select(*owner, table.c.canonical_url))}
    changes = []
    for *whose, url in sorted(known):
        made = (*whose, canonical_url(url))
        if made not in known:
            known.add(made)
            changes.append({"old": url, "new": made[-1], **({"whose": whose[0]} if whose else {})})
    if changes:
        statement = sa.update(table).where(table.c.canonical_url == sa.bindparam("old"))
        for column in owner:
            statement = statement.where(column == sa.bindparam("whose"))
        connection.execute(statement.values(canonical_url=sa.bindparam("new")), changes)
