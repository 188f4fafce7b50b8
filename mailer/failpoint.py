"""Named places where a test may stop the process.

`reach("worker.after-dot")` does nothing unless the environment variable `MAILER_FAILPOINT` names that
place when the process starts; then the process kills itself there, as `kill -9` would. The variable
may say at which pass: `worker.after-dot:3` is the third. Never import this for anything else.
"""

import os
import signal

VARIABLE = "MAILER_FAILPOINT"

_name, _, _pass = os.environ.get(VARIABLE, "").partition(":")
_left = int(_pass or 1)


def reach(name: str) -> None:
    """Kill this process if the environment asked for that at the place called `name`."""
    if name == _name:
        _die_at_the_chosen_pass()


def _die_at_the_chosen_pass() -> None:
    global _left
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
