"""Makes and reads files that hold a private key, which nobody else may read. Never overwrites one."""

import os
from pathlib import Path
from typing import Final

from mailer.errors import AlreadyExists, Refused, SettingsError
from mailer.message.dkim_keys import SHORTEST_RSA, KeyType
from mailer.settings import file_permissions

_MOST_BYTES: Final = 65536


def new_key(kind: KeyType) -> bytes:
    """Make a private key, as PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    is_rsa = kind is KeyType.RSA
    key = generate_private_key(65537, SHORTEST_RSA) if is_rsa else Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write(path: Path, pem: bytes) -> None:
    """Write a key to a new file, which only its owner may read.

    Raises:
        AlreadyExists: there is a file already; it may be a key in use.
        Refused: the file cannot be written, or cannot be named in the settings.
    """
    if "," in str(path):
        raise Refused(
            f"{path} has a comma, which separates files in `dkim_key`; give another --file"
        )
    try:
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    except FileExistsError as error:
        raise AlreadyExists(
            f"{path} exists already, and may be in use; choose another --selector, or another --file"
        ) from error
    except OSError as error:
        raise Refused(_unwritable(path, error)) from error
    try:
        with file:
            file.write(pem)
    except OSError as error:
        # Half a key would stand in the way of the next attempt.
        path.unlink()
        raise Refused(_unwritable(path, error)) from error


def _unwritable(path: Path, error: OSError) -> str:
    return f"{path} cannot be written ({error.strerror}); name another place with --file"


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
