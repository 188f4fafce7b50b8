"""A DNS server on loopback: answers from a table over UDP and TCP, or as badly as a test wants."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Records = list[str]
Bad = Callable[[dns.message.Message], bytes | None]
"""Makes the bytes of an answer itself; None answers nothing."""

_LARGEST_UDP = 1232


@dataclass
class DnsServer:
    """A running server.

    Attributes:
        zone: the records of a name and type, as text as in a zone file; "!SERVFAIL" refuses.
        bad: names that are answered badly, of whatever type.
    """

    port: int
    zone: dict[tuple[str, str], Records] = field(default_factory=dict)
    bad: dict[str, Bad] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, data: bytes, *, is_udp: bool) -> bytes | None:
        """Answer a question."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.bad:
            return self.bad[name](query)
        response = self._response(query, name, kind)
        # Only so long as it fits.
        wire = response.to_wire(max_size=65535)
        if is_udp and len(wire) > _LARGEST_UDP:
            response = dns.message.make_response(query, recursion_available=True)
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire

    def _response(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        followed = 0
        while (alias := self.zone.get((name, "CNAME"))) and kind != "CNAME" and followed < 50:
            response.answer.append(_rrset(name, "CNAME", alias))
            name = alias[0].rstrip(".").lower()
            followed += 1
        records = self.zone.get((name, kind))
        if records == ["!SERVFAIL"]:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            response.answer.append(_rrset(name, kind, records))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


def _rrset(name: str, kind: str, records: Records) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(
        dns.name.from_text(name), 60, dns.rdataclass.IN, dns.rdatatype.from_text(kind), records
    )


def txt(text: str) -> str:
    """Write a text as a TXT record in strings of at most 255 characters, as zone files do."""
    pieces = [text[at : at + 255] for at in range(0, len(text), 255)] or [""]
    escaped = [piece.replace("\\", "\\\\").replace('"', '\\"') for piece in pieces]
    return " ".join(f'"{piece}"' for piece in escaped)


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        answer = self.server.seen.answer(data, is_udp=True)  # type: ignore[attr-defined]
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):
            while head := self.rfile.read(2):
                (length,) = struct.unpack("!H", head)
                answer = self.server.seen.answer(  # type: ignore[attr-defined]
                    self.rfile.read(length), is_udp=False
                )
                if answer is None:
                    return
                self.wfile.write(struct.pack("!H", len(answer)) + answer)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def dns_server(zone: dict[tuple[str, str], Records] | None = None) -> Iterator[DnsServer]:
    """Run a server with this zone."""
    while True:
        tcp = _TcpServer(("127.0.0.1", 0), _Tcp)
        try:
            udp = _UdpServer(tcp.server_address, _Udp)
        except OSError:
            # Somebody has this port for UDP.
            tcp.server_close()
            continue
        break
    seen = DnsServer(tcp.server_address[1], dict(zone or {}))
    threads = []
    for server in (tcp, udp):
        server.seen = seen  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        threads.append(thread)
    try:
        yield seen
    finally:
        for server in (tcp, udp):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
