"""Writes a file that appears under its name only when it is complete, and that only its owner may read.

Never overwrites a file. What is being written stands beside it under a hidden name, which is removed if
something fails; `PART` is how that name ends.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mailer.errors import AlreadyExists, Refused
from mailer.failpoint import reach

PART: Final = ".part"


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the path of an empty file to write to; at the end of the block it gets the name `path`.

    Raises:
        AlreadyExists: there is a file of that name.
        Refused: the file cannot be written there.
    """
    taken = AlreadyExists(f"{path} exists already, and is not overwritten; name another file")
    if os.path.lexists(path):
        raise taken
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        # One that is there is of a process with our number, which is dead.
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield part
        sync(part)
        reach("backup.before-name")
        _give_name(part, path)
        sync(path.parent)
    except FileExistsError as error:
        raise taken from error
    except OSError as error:
        raise Refused(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> str:
    """Say why a file could not be written, and what helps."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full, so {path} was not written; free some space in {path.parent}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"the folder {path.parent} does not exist; create it, or name another one"
    return (
        f"{path} cannot be written ({error.strerror}); "
        "check that its folder exists and that this user may write there"
    )


def sync(path: Path) -> None:
    """Wait until this file, or the names in this folder, are on the disk.

    Raises:
        OSError: they cannot be written.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_name(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise
        # Some file systems, such as FAT and many network shares, know no second name of a file.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        part.replace(path)
