"""Reads the private keys of DKIM from PEM, and writes the records that publish them. Never opens a file.

`cryptography` does the mathematics. It is imported where a key is read: it costs 9 MB, which a worker that
does not sign, and every other command, must not pay.
"""

import base64
import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mailer.errors import SettingsError
from mailer.message.dkim import SigningKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SHORTEST_RSA: Final = 2048
LONGEST_RSA: Final = 4096
"""Receivers need not verify longer ones (RFC 8301 section 3.2)."""

TXT_STRING: Final = 255
"""The longest string in a TXT record; a longer value is several strings (RFC 1035 section 3.3)."""


class KeyType(StrEnum):
    """What kind of key signs."""

    RSA = "rsa"
    ED25519 = "ed25519"


def read_key(pem: bytes, selector: str, name: str) -> SigningKey:
    """Read a private key from PEM.

    Args:
        name: of the file, for the error.

    Raises:
        SettingsError: it is not a private key, is encrypted, is of another type, or is too short or too long.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except TypeError as error:
        raise SettingsError(
            f"dkim_key: {name} is encrypted; decrypt it with `openssl pkey`, or make a new one with "
            "`mailer dkim new`"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"dkim_key: {name} is not a private key in PEM; `mailer dkim new` makes one"
        ) from error
    if isinstance(key, RSAPrivateKey):
        return _rsa(key, selector, name)
    if isinstance(key, Ed25519PrivateKey):
        return _ed25519(key, selector)
    raise SettingsError(
        f"dkim_key: {name} is neither RSA nor Ed25519; `mailer dkim new` makes one that is"
    )


def txt_strings(value: str) -> list[str]:
    """Cut the value of a TXT record into strings that fit."""
    return [value[at : at + TXT_STRING] for at in range(0, len(value), TXT_STRING)]


def _rsa(key: "RSAPrivateKey", selector: str, name: str) -> SigningKey:
    """Make a signing key of an RSA key.

    Raises:
        SettingsError: receivers would not accept its length.
    """
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not SHORTEST_RSA <= key.key_size <= LONGEST_RSA:
        raise SettingsError(
            f"dkim_key: {name} has {key.key_size} bits, and receivers accept {SHORTEST_RSA} to "
            f"{LONGEST_RSA}; make a new one with `mailer dkim new`, with another selector"
        )
    padding, algorithm = PKCS1v15(), SHA256()
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(
        selector,
        "rsa-sha256",
        lambda data: key.sign(data, padding, algorithm),
        _record(KeyType.RSA, public),
    )


def _ed25519(key: "Ed25519PrivateKey", selector: str) -> SigningKey:
    # RFC 8463 section 3: it is the hash that is signed, and the bare key that is published.
    return SigningKey(
        selector,
        "ed25519-sha256",
        lambda data: key.sign(hashlib.sha256(data).digest()),
        _record(KeyType.ED25519, key.public_key().public_bytes_raw()),
    )


def _record(kind: KeyType, public: bytes) -> str:
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode('ascii')}"
