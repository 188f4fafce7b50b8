"""A relay for tests: takes mail over SMTP, a thread a connection, and remembers what it accepted.

As a program (`python receiver.py PORT FILE DELAY KIND`) it appends one line of JSON for each accepted
mail to FILE, and the line is on the disk before the 250 is said: that file alone tells what arrived.
KIND is "pipelining" or "plain".
Imports nothing of mailer.
"""

import json
import os
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import BinaryIO

Answer = Callable[[str, str], str | None]
"""Gets the verb ("CONNECT", "EHLO", "MAIL", …, "DOT") and its argument; None drops the connection."""


@dataclass(frozen=True)
class Mail:
    """One accepted mail."""

    sender: str
    recipient: str
    data: bytes

    def header(self, name: str) -> str | None:
        return BytesHeaderParser().parsebytes(self.data)[name]


def fine(verb: str, argument: str) -> str:
    """Accepts everything."""
    return {
        "CONNECT": "220 relay.example",
        "EHLO": "250-relay.example\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 SIZE 10000000",
        "DATA": "354 go on",
        "QUIT": "221 bye",
    }.get(verb, "250 ok")


def plain(answer: Answer) -> Answer:
    """A relay that offers nothing more."""
    return answer


def pipelining(answer: Answer) -> Answer:
    """The same relay, but one that offers PIPELINING (RFC 2920) as well."""

    def offering(verb: str, argument: str) -> str | None:
        said = answer(verb, argument)
        if verb == "EHLO" and said is not None:
            return f"250-relay.example\r\n250-PIPELINING\r\n{said}"
        return said

    return offering


def holding(go_on: threading.Event, seconds: float = 120) -> Answer:
    """Answers no final dot before `go_on` is set, or so many seconds are over."""

    def answer(verb: str, argument: str) -> str:
        if verb == "DOT":
            go_on.wait(seconds)
        return fine(verb, argument)

    return answer


@dataclass
class Receiver:
    """What a running receiver saw. `accept` is called for each mail before its 250."""

    port: int
    answer: Answer = fine
    accept: Callable[[Mail], None] = lambda mail: None
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def connections(self) -> int:
        return self.commands.count("CONNECT")

    @property
    def recipients(self) -> list[str]:
        return sorted(mail.recipient for mail in self.mails)

    def count(self, verb: str) -> int:
        return sum(command.split(" ", 1)[0] == verb for command in self.commands)


class _Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: "_Server"

    def handle(self) -> None:
        try:
            self._talk()
        except (ConnectionError, TimeoutError):
            return

    def _talk(self) -> None:
        sender = recipient = ""
        if not self._say("CONNECT", ""):
            return
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if verb == "MAIL":
                sender = _path(argument)
            if verb == "RCPT":
                recipient = _path(argument)
            said = self._say(verb, argument)
            if not said or verb == "QUIT":
                return
            if verb == "DATA" and said.startswith("3"):
                data = _body(self.rfile)
                if data is None or not self._take(Mail(sender, recipient, data)):
                    return

    def _say(self, verb: str, argument: str) -> str | None:
        seen = self.server.seen
        with seen.lock:
            seen.commands.append(f"{verb} {argument}".strip())
        said = seen.answer(verb, argument)
        if said is not None:
            self.wfile.write(said.encode() + b"\r\n")
            if said.startswith("421"):
                return None
        return said

    def _take(self, mail: Mail) -> bool:
        seen = self.server.seen
        said = seen.answer("DOT", mail.recipient)
        if said is None or said.startswith("2"):
            # One that is taken and then left without an answer counts as accepted too.
            seen.accept(mail)
            with seen.lock:
                seen.mails.append(mail)
        if said is None:
            return False
        self.wfile.write(said.encode() + b"\r\n")
        return not said.startswith("421")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    seen: Receiver


def _path(argument: str) -> str:
    return argument[argument.index("<") + 1 : argument.index(">")]


def _body(stream: BinaryIO) -> bytes | None:
    lines = []
    for line in stream:
        if line == b".\r\n":
            return b"".join(lines)
        lines.append(line[1:] if line.startswith(b".") else line)
    return None


@contextmanager
def receiver(
    answer: Answer = fine, accept: Callable[[Mail], None] = lambda mail: None, port: int = 0
) -> Iterator[Receiver]:
    """A receiver that runs in threads of this process."""
    with _Server(("127.0.0.1", port), _Conversation) as server:
        server.seen = Receiver(server.server_address[1], answer, accept)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.seen
        finally:
            server.shutdown()
            thread.join()


def main(port: int, path: str, delay: float, kind: str) -> None:
    """Receive until killed, writing accepted mails to the file at `path`."""
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def accept(mail: Mail) -> None:
        line = {
            "to": mail.recipient,
            "delivery": mail.header("X-Mailer-Delivery"),
            "digest": mail.header("X-Mailer-Digest"),
            "message_id": mail.header("Message-ID"),
        }
        os.write(out, json.dumps(line).encode() + b"\n")
        os.fsync(out)
        # A kill of the sender in this time finds a mail that is accepted and not yet answered.
        time.sleep(delay)

    answer = pipelining(fine) if kind == "pipelining" else fine
    with receiver(answer, accept=accept, port=port) as seen:
        print(seen.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4])
