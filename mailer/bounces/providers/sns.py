"""Checks that a message comes from Amazon SNS, and from our topic. Pure: the certificate is given.

After "Verifying the signatures of Amazon SNS messages" and "Parsing message formats". A message is signed
with a key of SNS, no matter from which topic, so the topic counts as much as the signature. With "raw message
delivery" nothing is signed, and it is refused.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailer.bounces.providers.payload import NotAuthentic, text_at, value_at

NOTIFICATION: Final = "Notification"
SUBSCRIPTION: Final = "SubscriptionConfirmation"
UNSUBSCRIPTION: Final = "UnsubscribeConfirmation"

_CONFIRMATION_FIELDS: Final = (
    *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
)
_SIGNED_FIELDS: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: _CONFIRMATION_FIELDS,
    UNSUBSCRIPTION: _CONFIRMATION_FIELDS,
}
"""What is signed of each type of message, in this order; a notification may have no subject."""

_OPTIONAL: Final = frozenset({"Subject"})
_LONGEST_URL: Final = 2000
_SMALLEST_KEY_BITS: Final = 2048
_DOMAINS: Final = {"aws-cn": "amazonaws.com.cn"}
"""Of the partitions that have another domain than "amazonaws.com"."""


@dataclass(frozen=True)
class SnsMessage:
    """A message as it came. Before `verify` nothing of it may be believed.

    Attributes:
        fields: those that are signed.
        signature: what Amazon made of them.
        version: of the signature.
        certificate_url: where the certificate of the key is.
    """

    kind: str
    fields: Mapping[str, str]
    signature: bytes
    version: str
    certificate_url: str

    @property
    def text(self) -> str:
        """What was published."""
        return self.fields["Message"]

    @property
    def subscribe_url(self) -> str:
        """The address that confirms the subscription; only a confirmation has it."""
        return self.fields["SubscribeURL"]


def read_message(payload: object, topic: str) -> SnsMessage:
    """Read a message and check all but its signature.

    Args:
        topic: the ARN of our topic.

    Raises:
        NotAuthentic: it names another topic or another host than Amazon's, or has no signature.
    """
    kind = text_at(payload, "Type") or ""
    names = _SIGNED_FIELDS.get(kind)
    if names is None or value_at(payload, "Signature") is None:
        raise NotAuthentic(
            'it is not signed; switch off "raw message delivery" of the subscription'
        )
    fields = {name: text for name in names if (text := text_at(payload, name)) is not None}
    if set(names) - fields.keys() - _OPTIONAL:
        raise NotAuthentic("a part is missing that Amazon signs")
    if fields["TopicArn"] != topic:
        raise NotAuthentic("it is from another topic than the one in webhook_keys")
    url = text_at(payload, "SigningCertURL") or ""
    if not is_amazon_url(url, topic) or not url.endswith(".pem"):
        raise NotAuthentic("its certificate is not at the host of Amazon SNS in the topic's region")
    if kind == SUBSCRIPTION and not is_amazon_url(fields["SubscribeURL"], topic):
        raise NotAuthentic(
            "its SubscribeURL is not at the host of Amazon SNS in the topic's region"
        )
    try:
        signature = base64.b64decode(text_at(payload, "Signature") or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAuthentic("its signature is not base64") from error
    version = text_at(payload, "SignatureVersion") or ""
    return SnsMessage(kind, fields, signature, version, url)


def host_of(topic: str) -> str:
    """Return the host of SNS in the region of a topic, such as `sns.eu-central-1.amazonaws.com`."""
    _, partition, _, region, *_ = topic.split(":")
    return f"sns.{region}.{_DOMAINS.get(partition, 'amazonaws.com')}"


def is_amazon_url(url: str, topic: str) -> bool:
    """Tell whether this is an https address at the host of SNS in the region of our topic.

    Looked at as a text, so that no two readers of addresses can differ about the host. A pattern for any
    region would match hosts that are not those of SNS, such as `sns.s3.amazonaws.com`.
    """
    is_plain = len(url) <= _LONGEST_URL and url.isascii() and url.isprintable()
    return is_plain and url.startswith(f"https://{host_of(topic)}/") and not set(url) & {" ", "\\"}


def verify(message: SnsMessage, certificate: bytes, *, now: datetime) -> None:
    """Check the signature of a message.

    How old the message is does not matter: it was signed as a whole, and the same event again at most
    unsubscribes the same reader once more. One from a queue of undelivered messages may come days later.

    Args:
        certificate: in PEM, from the address in the message.

    Raises:
        NotAuthentic: the signature or the certificate is not valid.
    """
    # Imported here, because only installations that use SES need it.
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    # "SHA1withRSA" and "SHA256withRSA"; a topic signs with the first unless it is told otherwise.
    algorithm = {"1": hashes.SHA1, "2": hashes.SHA256}.get(message.version)  # noqa: S303
    if algorithm is None:
        raise NotAuthentic("its SignatureVersion is neither 1 nor 2")
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        key = loaded.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAuthentic("its certificate cannot be read") from error
    if not loaded.not_valid_before_utc <= now <= loaded.not_valid_after_utc:
        raise NotAuthentic("its certificate is not valid now")
    if not isinstance(key, RSAPublicKey) or key.key_size < _SMALLEST_KEY_BITS:
        raise NotAuthentic("its certificate has no RSA key of 2048 bits")
    try:
        key.verify(message.signature, _signed_text(message), PKCS1v15(), algorithm())
    except InvalidSignature as error:
        raise NotAuthentic("its signature is wrong") from error


def _signed_text(message: SnsMessage) -> bytes:
    """Return what was signed: each name and value on a line of its own."""
    names = _SIGNED_FIELDS[message.kind]
    lines = [
        line for name in names if name in message.fields for line in (name, message.fields[name])
    ]
    # A half of a surrogate pair is valid in JSON, but nothing that Amazon could have signed.
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")
