"""Kills the process at a named place, for tests of crashes.

`reach("worker.after-dot")` does nothing unless the environment variable `MAILER_FAILPOINT` names that
place when the process starts. Then the process kills itself there, as `kill -9` would. The variable may say
at which pass, such as the third: `worker.after-dot:3`; or at which row: `worker.compose=7`. Never import
this for anything else.
"""

import os
import signal

VARIABLE = "MAILER_FAILPOINT"

_text = os.environ.get(VARIABLE, "")
_name, _, _pass = _text.partition("=")[0].partition(":")
_row = int(_text.partition("=")[2] or 0)
_left = int(_pass or 1)


def reach(name: str, row: int = 0) -> None:
    """Kill this process if the environment names this place, and this row."""
    if name == _name and row == _row:
        _die_at_the_chosen_pass()


def _die_at_the_chosen_pass() -> None:
    global _left
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
