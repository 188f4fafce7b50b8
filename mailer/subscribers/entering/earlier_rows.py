"""Remembers for a dry run what the earlier rows of a file would have changed.

A real run finds that in the database. Here it is in a temporary database of its own, on disk as soon as it is
large, so that the size of the file does not matter. It holds no address. Never touches the mailer's database.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from mailer.errors import Refused
from mailer.models import SuppressionReason
from mailer.subscribers.entering.decide import ReaderState


class EarlierRows:
    """The states of readers after the rows so far."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID")

    def apply(self, states: Mapping[str, ReaderState]) -> None:
        """Change these states, as they are stored, to what the rows so far would have made of them."""
        rows = self._connection.execute(
            "SELECT key, state FROM seen WHERE key IN (SELECT value FROM json_each(?))",
            [json.dumps(list(states))],
        )
        for key_hash, text in rows:
            state = states[key_hash]
            (
                left_at,
                suppression,
                state.subscribed,
                state.schedule_id,
                state.name,
                state.language,
            ) = json.loads(text)
            state.left_at = left_at and datetime.fromtimestamp(left_at, UTC)
            state.suppression = suppression and SuppressionReason(suppression)

    def remember(self, states: Mapping[str, ReaderState]) -> None:
        """Note what has changed of these states."""
        rows = [
            (key_hash, json.dumps(_decisive(state)))
            for key_hash, state in states.items()
            if state.changes
        ]
        self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)


@contextmanager
def earlier_rows() -> Iterator[EarlierRows]:
    """Open an empty one; it is gone afterwards.

    Raises:
        Refused: there is no room for temporary files.
    """
    # Without a name it is a private temporary database.
    connection = sqlite3.connect("", isolation_level=None)
    try:
        yield EarlierRows(connection)
    except sqlite3.Error as error:
        raise Refused(
            f"the dry run cannot write temporary files ({error}); "
            "make room for them, or name another folder in TMPDIR"
        ) from error
    finally:
        connection.close()


def _decisive(state: ReaderState) -> list[object]:
    """Return what of a state decides about the next row of the same reader."""
    return [
        state.left_at and state.left_at.timestamp(),
        state.suppression,
        state.subscribed,
        state.schedule_id,
        state.name and "named",
        state.language and "known",
    ]
