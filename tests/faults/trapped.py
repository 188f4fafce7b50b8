"""Runs `mailer` until a trigger of SQLite kills it, as `kill -9` would; TRAP has the statement that makes it.

Used as a program in place of `-m mailer`; see `tests/faults/traps.py`.
"""

import os
import signal
from typing import Any

from sqlalchemy import Engine, event

from mailer.cli import main


@event.listens_for(Engine, "connect")
def _set_the_trap(connection: Any, _record: object) -> None:
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    connection.execute(os.environ["TRAP"])


if __name__ == "__main__":
    main()
