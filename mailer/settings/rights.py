"""Who may have a hand in the configuration file: its owner and mode, judged. Pure; opens nothing."""

import shlex
import stat
from pathlib import Path


def fault_of(path: Path, mode: int, owner: int, us: int, *, holds_keys: bool) -> str | None:
    """What is wrong with the rights of the file at `path`, with the command that mends it; None if nothing.

    Whoever can write the file can set where mails go and what links start with.

    Args:
        mode: of the file, with its kind, as `os.stat` tells.
        owner: the file's user id.
        us: the user id that this process acts as.
        holds_keys: whether a secret stands in it, so that others may not read it either.
    """
    if not stat.S_ISREG(mode):
        return None
    name = shlex.quote(str(path))
    if owner not in (us, 0):
        return (
            f"{path} belongs to another user, who can change it; "
            f"run this as that user, or: sudo chown {us} {name}"
        )
    if holds_keys and mode & stat.S_IROTH:
        return f"everybody may read the keys in {path}; run: chmod 600 {name}"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write {path}; run: chmod go-w {name}"
    return None
