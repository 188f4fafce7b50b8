"""Defines the tables of what staff decide: edits of a digest, dropped articles, articles of a one-off."""

from datetime import datetime

from sqlalchemy import ForeignKey, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey, partial_index


class Edits(Base):
    """Staff's changes to a schedule's coming digest, whichever slot it is.

    `digest_id` is empty until a build uses them up; then they are frozen, and the schedule's next edits are
    another row. `intro_html` is sanitised, `intro_text` is the same as plain text.
    """

    __tablename__ = "edits"
    __table_args__ = (
        partial_index(
            "uq_edits_schedule_id_coming", "schedule_id", where="digest_id IS NULL", unique=True
        ),
    )

    id: Mapped[PrimaryKey]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    digest_id: Mapped[int | None] = mapped_column(ForeignKey("digest.id"), unique=True)
    subject: Mapped[LongText | None]
    intro_html: Mapped[LongText | None]
    intro_text: Mapped[LongText | None]
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"))
    updated_at: Mapped[datetime]


class DroppedArticle(Base):
    """An article that staff withhold from a newsletter's digests.

    `edits_id` says with which edits: until these are used up, clearing them undoes it.
    """

    __tablename__ = "dropped_article"
    __table_args__ = (PrimaryKeyConstraint("newsletter_id", "article_id"),)

    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id", ondelete="CASCADE"))
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
    edits_id: Mapped[int | None] = mapped_column(
        ForeignKey("edits.id", ondelete="SET NULL"), index=True
    )
    dropped_at: Mapped[datetime]


class ChosenArticle(Base):
    """An article that staff chose for a one-off, which holds these and no others."""

    __tablename__ = "chosen_article"
    __table_args__ = (PrimaryKeyConstraint("schedule_id", "article_id"),)

    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
