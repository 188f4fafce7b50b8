"""Prints how far a copy of the database is, and lets a signal end it with nothing left half done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mailer.cli.long_running import Ticker, stop_signals
from mailer.cli.output import message

if TYPE_CHECKING:
    from mailer.database_copies.files.contents import IsStopping, OnProgress


@contextmanager
def stoppable_copy(
    verb: str, monotonic: Callable[[], float] = time.monotonic
) -> "Iterator[tuple[OnProgress, IsStopping]]":
    """Yield what a copy reports to, and what it asks whether to stop.

    Args:
        verb: what is done with the bytes, such as "copied".

    Raises:
        Abort: a signal ended the copy.
    """
    from mailer.database_copies.files.contents import Stopped

    ticker = Ticker(at_once=False, now=monotonic())

    def show(done: int, total: int | None) -> None:
        if ticker.is_due(monotonic()):
            of = "" if total is None else f" of {total >> 20:,}"
            message(f"{verb} {done >> 20:,}{of} MB")

    with stop_signals("stopping; nothing is left half done") as is_stopping:
        try:
            yield show, is_stopping
        except Stopped as error:
            raise click.Abort from error
