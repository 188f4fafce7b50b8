"""Judges the owner and the mode of the configuration file. Pure: never opens it."""

import shlex
import stat
from pathlib import Path


def problem(path: Path, mode: int, owner: int, us: int, *, holds_keys: bool) -> str | None:
    """Say what is wrong with the permissions of `path`, and the command that fixes it; None if nothing is.

    Those who can write the file can decide where mails go and what links start with.

    Args:
        mode: of the file, with its kind, as `os.stat` returns it.
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
