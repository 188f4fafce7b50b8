"""Makes and reads link tokens, mail references, and all else that is derived from the two keys. Pure.

Nothing derived is ever stored. A token is base64url of purpose, public id, expiry and a MAC over the three.
The secret key may rotate and signs what is valid for days; the identity key never rotates and signs what
must work for ever.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, NewType

from mailer.errors import BadToken, ExpiredToken

MessageId = NewType("MessageId", str)
"""A Message-ID as `message_id` makes it: <dot-atom@domain> (RFC 5322 section 3.6.4)."""

MailReference = NewType("MailReference", str)
"""What `Keys.reference` makes of a row of the ledger, such as `d12.` and 32 hex digits."""

_TAG_BYTES = 16
_REFERENCE = re.compile(r"[dn][1-9][0-9]{0,18}\.[0-9a-f]{32}")
_LONGEST_REFERENCE = len("d") + 19 + len(".") + 2 * _TAG_BYTES
_TABLES: Final = {"d": "delivery", "n": "notice"}
_LARGEST_ID: Final = 2**63 - 1
_HEAD = struct.Struct(">sQI")
"""One byte of purpose, eight of public id, four of expiry."""


class Purpose(bytes, Enum):
    """What a token allows, as its first byte; a token for one purpose is invalid for any other."""

    CONFIRM = b"c"
    DATA = b"d"
    ERASE = b"e"
    NOT_ME = b"n"
    PREFERENCES = b"p"
    REVIEW = b"r"
    UNSUBSCRIBE = b"u"


@dataclass(frozen=True)
class Keys:
    """The keys of an installation.

    Args:
        secrets: the first signs, all verify.
        identity: signs unsubscribe links, hashes addresses; never rotated.
    """

    secrets: tuple[bytes, ...] = field(repr=False)
    identity: bytes = field(repr=False)

    def make(self, purpose: Purpose, public_id: int, expires: datetime | None = None) -> str:
        """Make a token for the row with `public_id`, valid until `expires` (UTC; None: for ever)."""
        seconds = 0 if expires is None else int(expires.timestamp())
        head = _HEAD.pack(purpose, public_id, seconds)
        key = self.identity if purpose is Purpose.UNSUBSCRIBE else self.secrets[0]
        return (
            base64.urlsafe_b64encode(head + _tag(key, b"token", head)).decode("ascii").rstrip("=")
        )

    def read(self, token: str, purpose: Purpose, now: datetime) -> int:
        """Return the public id in `token`.

        Raises:
            BadToken: it was not made here for this purpose.
            ExpiredToken: it was, but its time is over.
        """
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (binascii.Error, UnicodeEncodeError) as error:
            raise BadToken from error
        head, tag = raw[: _HEAD.size], raw[_HEAD.size :]
        if len(tag) != _TAG_BYTES or head[:1] != purpose:
            raise BadToken
        valid = [
            hmac.compare_digest(_tag(key, b"token", head), tag)
            for key in self._signing_keys(purpose)
        ]
        # One token has one spelling: the spare bits of base64 must not make a second one.
        if not any(valid) or base64.urlsafe_b64encode(raw).rstrip(b"=") != token.encode("ascii"):
            raise BadToken
        _, public_id, seconds = _HEAD.unpack(head)
        if seconds and now >= datetime.fromtimestamp(seconds, UTC):
            raise ExpiredToken
        return int(public_id)

    def key_hash(self, address_key: str) -> str:
        """Return the keyed hash under which an address is suppressed: 64 hex digits."""
        return hmac.digest(self.identity, b"address\0" + address_key.encode(), "sha256").hex()

    def fingerprint(self) -> str:
        """Return the identity key's fingerprint, by which a database refuses another key."""
        return _tag(self.identity, b"fingerprint", b"").hex()

    def form_stamp(self, at: datetime) -> str:
        """Sign the time at which a form is shown: `seconds.tag`."""
        seconds = str(int(at.timestamp()))
        return f"{seconds}.{_tag(self.secrets[0], b'form', seconds.encode()).hex()}"

    def read_form_stamp(self, stamp: str) -> datetime | None:
        """Return when the form with this stamp was shown (UTC); None if it was not made here."""
        seconds, _, tag = stamp.partition(".")
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11 and tag.isascii()):
            return None
        for key in self.secrets:
            if hmac.compare_digest(_tag(key, b"form", seconds.encode()).hex(), tag):
                return datetime.fromtimestamp(int(seconds), UTC)
        return None

    def reference(self, table: str, row_id: int, created_at: datetime) -> MailReference:
        """Return the reference of a ledger row's mail, the same at every attempt.

        It depends on the creation time, because row ids repeat after a backup is restored.
        """
        seed = f"{table}:{row_id}:{_in_utc(created_at)}".encode()
        tag = _tag(self.identity, b"message-id", seed).hex()
        return MailReference(f"{table[:1]}{row_id}.{tag}")

    def is_reference(self, text: str, created_at: datetime) -> bool:
        """Tell whether `text`, from a stranger, is the reference of the row that it names.

        Args:
            text: in any letter case, because mail servers may change that.
            created_at: of the row with the table and id that `referenced_row` returns for it.
        """
        row = referenced_row(text)
        return row is not None and hmac.compare_digest(
            self.reference(row.table, row.row_id, created_at), text.lower()
        )

    def webhook_secret(self, provider: str) -> str:
        """Return the secret in the address that this provider posts to: 32 hex digits."""
        return _webhook_secret(self.secrets[0], provider)

    def is_webhook_secret(self, provider: str, secret: str) -> bool:
        """Tell whether `secret` is this provider's; one of an older key still is."""
        offered = secret.encode(errors="replace")
        # All are compared, so that the time tells nothing.
        valid = [
            hmac.compare_digest(_webhook_secret(key, provider).encode(), offered)
            for key in self.secrets
        ]
        return any(valid)

    def _signing_keys(self, purpose: Purpose) -> tuple[bytes, ...]:
        return (self.identity,) if purpose is Purpose.UNSUBSCRIBE else self.secrets


def _webhook_secret(key: bytes, provider: str) -> str:
    return _tag(key, b"webhook", provider.encode()).hex()


class ReferencedRow(NamedTuple):
    """The row of the ledger that a reference names; whether we made that reference is another question."""

    table: str
    row_id: int


def referenced_row(text: str) -> ReferencedRow | None:
    """Read which row a reference names, such as one from a mail that came back; None if it is none.

    Nothing is proved by it: read the row's creation time, and ask `Keys.is_reference`.

    Args:
        text: of any length and content, from a stranger.
    """
    if len(text) > _LONGEST_REFERENCE or not text.isascii():
        return None
    text = text.lower()
    if not _REFERENCE.fullmatch(text):
        return None
    row_id = int(text[1 : text.index(".")])
    # A larger number is an error for the database, which would fail a whole statement.
    return ReferencedRow(_TABLES[text[0]], row_id) if row_id <= _LARGEST_ID else None


def message_id(reference: MailReference, domain: str) -> MessageId:
    """Return the Message-ID of the mail with this reference (RFC 5322 section 3.6.4).

    Args:
        domain: as A-labels, such as the sender's on the wire.
    """
    return MessageId(f"<{reference}@{domain}>")


def _tag(key: bytes, domain: bytes, data: bytes) -> bytes:
    inner, outer = _keyed_hashes(key, domain)
    inner, outer = inner.copy(), outer.copy()
    inner.update(data)
    outer.update(inner.digest())
    return outer.digest()[:_TAG_BYTES]


@lru_cache(maxsize=16)
def _keyed_hashes(key: bytes, domain: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """Begin an HMAC (RFC 2104): its inner hash, fed with the domain too, and its outer one.

    Two tags are made for each mail, and a copy of these takes a third of the time of a whole HMAC.
    """
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + domain + b"\0")
    return inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


@lru_cache(maxsize=16)
def _in_utc(at: datetime) -> str:
    # All mails of a digest have been created at the same time.
    return at.astimezone(UTC).isoformat()
