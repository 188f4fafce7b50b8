"""Row S9: a relay that cannot be reached as we must reach it is asked again later, and never otherwise."""

import datetime
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailer.db import Database
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest, suppressed
from tests.faults.relays import relay, size, waits_told
from tests.processes import accepted, working
from tests.receiver import fine
from tests.waiting import wait_until


@dataclass
class Guarded:
    """A relay behind TLS whose certificate nobody vouches for: who came, and what came through."""

    port: int
    connections: int = 0
    received: list[bytes] = field(default_factory=list)


@contextmanager
def self_signed(folder: Path) -> Iterator[Guarded]:
    """A relay on loopback that speaks TLS at once, with a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "relay.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listening = socket.create_server(("127.0.0.1", 0))
    found = Guarded(listening.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            found.connections += 1
            plain.settimeout(5)
            with closing(plain):
                try:
                    with context.wrap_socket(plain, server_side=True) as protected:
                        protected.sendall(b"220 relay.example\r\n")
                        found.received.append(protected.recv(1000))
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        # Closing alone does not wake who waits in accept.
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def lines_told(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "relay" in line]


def rests(
    database: Database, keys: Keys, folder: Path, note: Note, smtp_url: str, word: str
) -> int:
    """Lets a worker fail twice with this relay; how often it told so, once for each rest."""
    readers = size(20, 1000)
    digest_id = queue_digest(database, keys, readers)
    log = folder / "log"
    with working(database, keys, 25, log, smtp_url=smtp_url, base_url="https://news.example"):
        wait_until(lambda: waits_told(log) >= 2)
        found = counts(database, digest_id)
    note("S9", database, readers=readers, in_doubt=found.in_doubt)
    assert (found.pending, found.in_doubt) == (readers, 0)
    assert suppressed(database) == 0
    # One line for each rest, which says why and how long, and no other.
    told = lines_told(log)
    assert len(told) == waits_told(log)
    assert all(re.search(word, line) for line in told)
    times = [datetime.datetime.fromisoformat(line[:23].replace(",", ".")) for line in told]
    waits = [(after - before).total_seconds() for before, after in pairwise(times)]
    # One second, two, four, each at most a fifth shorter.
    assert all(wait >= 0.8 * 2**number for number, wait in enumerate(waits))
    return len(told)


def test_a_relay_whose_name_is_nobody_s_is_asked_for_again(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    rests(
        sqlite_database,
        keys,
        fast_folder,
        note,
        "smtp://relay.invalid:25?tls=none",
        "Name or service not known|failure in name resolution",
    )


def test_a_port_where_nobody_listens_is_tried_again_until_somebody_does(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, free_port: int
) -> None:
    rests(
        sqlite_database,
        keys,
        fast_folder,
        note,
        f"smtp://127.0.0.1:{free_port}",
        "Connection refused",
    )


def test_a_certificate_that_nobody_vouches_for_gets_no_command(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    with self_signed(fast_folder) as guarded:
        told = rests(
            sqlite_database,
            keys,
            fast_folder,
            note,
            f"smtps://localhost:{guarded.port}",
            "certificate is not valid",
        )
    assert guarded.received == []
    # All that were opened at once, and one more at the end of each rest.
    assert guarded.connections <= 4 + told


def test_where_tls_is_not_offered_nothing_goes_out_in_plain_text(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    with relay(fast_folder / "received", fine) as there:
        rests(
            sqlite_database,
            keys,
            fast_folder,
            note,
            f"smtp://127.0.0.1:{there.port}?tls=starttls",
            "offers no STARTTLS",
        )
    assert {command.split(" ")[0] for command in there.seen.commands} == {"CONNECT", "EHLO"}
    assert accepted(there.file) == []
