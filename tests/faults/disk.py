"""Mounts a disk of a few megabytes that a test can fill: a file system in memory."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PIECE = b"\0" * 4096


class NoSmallDisk(Exception):
    """No file system could be mounted: run this as root, or where sudo asks for no password, and where
    the container may mount (docker run --cap-add SYS_ADMIN)."""

    def __init__(self, told: str) -> None:
        super().__init__(f"{self.__doc__} {told}")


@dataclass(frozen=True)
class Disk:
    """A small disk, mounted at `folder`."""

    folder: Path

    def fill(self) -> None:
        """Leave not one byte on it."""
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(_PIECE)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give it its space back."""
        (self.folder / "ballast").unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of this size at `folder`, which is made.

    Raises:
        NoSmallDisk: we may not mount one; the test fails rather than be left out.
    """
    folder.mkdir()
    asking = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={megabytes}m,mode=0777"
    try:
        subprocess.run(
            [*asking, "mount", "-t", "tmpfs", "-o", options, "mailer-test", str(folder)],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoSmallDisk(getattr(error, "stderr", "") or str(error)) from error
    try:
        yield Disk(folder)
    finally:
        # Lazily: a process that was killed just now may not be quite gone.
        subprocess.run([*asking, "umount", "-l", str(folder)], check=True, capture_output=True)
