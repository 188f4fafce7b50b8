"""A certificate authority of the tests' own. Whoever is to trust it is given its file, or SSL_CERT_FILE."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Certificates:
    """The authority, and what it has signed, in files of a folder.

    Attributes:
        file: the authority's certificate.
        authority: trusts it, and nobody else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Test authority")
        self._write("authority", None, self._key, self._name, self._key, 30 * DAY)
        self.authority = ssl.create_default_context(cafile=str(self.file))

    def issue(self, file: str, host: str, valid_for: datetime.timedelta = DAY) -> None:
        """Write a certificate for a host, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(file, host, key, self._name, self._key, valid_for)

    def issue_self_signed(self, file: str, host: str) -> None:
        """Write a certificate that only vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(file, host, key, _named(host), key, DAY)

    def server(self, file: str) -> ssl.SSLContext:
        """What a server with this certificate uses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{file}.pem", self.folder / f"{file}.key")
        return context

    def _write(
        self,
        file: str,
        host: str | None,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        issuer_key: ec.EllipticCurvePrivateKey,
        valid_for: datetime.timedelta,
    ) -> None:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(issuer if host is None else _named(file))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + valid_for)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            names: list[x509.GeneralName] = [x509.DNSName(host)]
            if host == "localhost":
                names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        (self.folder / f"{file}.pem").write_bytes(
            builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / f"{file}.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, *plain)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
