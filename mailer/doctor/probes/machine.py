"""Looks at this machine's files: the database's folder, the settings' file and keys. Never changes one."""

import os
import shutil
from pathlib import Path

from mailer.doctor.files import FileSeen


def look_at(path: Path) -> FileSeen:
    """Look at a file or folder."""
    try:
        status = path.stat()
        usage = shutil.disk_usage(path)
    except OSError as error:
        return FileSeen(path, error.strerror or str(error))
    return FileSeen(
        path,
        mode=status.st_mode & 0o777,
        is_writable=os.access(path, os.W_OK),
        free=usage.free,
        total=usage.total,
    )
