"""Rejected rows are all kept, without growing in memory."""

from mailer.subscribers.entering.rejected_rows import FIRST, RejectedRows
from mailer.subscribers.importing.rows import RejectedRow


def test_all_are_kept_on_disk_and_the_first_ones_in_memory() -> None:
    rows = [RejectedRow(line, f"no “{line}”\n" * 20) for line in range(2, 3000)]
    with RejectedRows() as rejected:
        for row in rows:
            rejected.add(row)
        assert rejected.first == rows[:FIRST]
        assert len(rejected) == len(rows)
        assert list(rejected) == list(rejected) == rows
        assert rejected._file._rolled  # type: ignore[attr-defined]


def test_there_may_be_none() -> None:
    with RejectedRows() as rejected:
        assert (len(rejected), list(rejected), rejected.first) == (0, [], [])
