"""Reads a file that holds a private key, if nobody else may read it."""

import os
from pathlib import Path
from typing import Final

from mailer.errors import SettingsError
from mailer.settings import file_permissions

_MOST_BYTES: Final = 65536


def read(path: Path, setting: str) -> bytes:
    """Read the file that this setting names.

    Raises:
        SettingsError: it cannot be read, or others may read or change it.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MOST_BYTES)
    except FileNotFoundError as error:
        raise SettingsError(
            f"{setting}: {path} does not exist; correct the name, or make a key with `mailer dkim new`"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{setting}: {path} cannot be read ({error.strerror}); change its owner or its permissions"
        ) from error
    if problem := file_permissions.problem(
        path, status.st_mode, status.st_uid, os.geteuid(), holds_keys=True
    ):
        raise SettingsError(f"{setting}: {problem}")
    return content
