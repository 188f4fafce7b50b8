"""Copies what is recorded in the journal to where no restore of the database reaches.

Never decides what is recorded.
"""

from collections.abc import Sequence

from sqlalchemy import Insert
from sqlalchemy.orm import Session


def note(session: Session, ids: Sequence[int]) -> None:
    """Copy the entries with these `ids`, which this transaction has written."""


def insert_and_note(session: Session, new: Insert) -> None:
    """Execute `new`, which writes entries, and copy what it writes."""
    session.execute(new)
