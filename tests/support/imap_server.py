"""Runs an IMAP server on loopback that says what a test wants, for one connection."""

import re
import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FIRST_UID = 1_000_000


@dataclass
class ImapServer:
    """What the server has, what it refuses, and what it was told.

    Args:
        mails: how many there are, all unread and without text.
        refused: words of commands that are answered with NO.
        closes_after: the word of the command after which it ends the connection; None: LOGOUT.
    """

    mails: int = 3
    refused: tuple[str, ...] = ()
    closes_after: str | None = None
    port: int = 0
    told: list[str] = field(default_factory=list)

    def answer(self, command: str) -> str:
        """What stands before the last line of the answer."""
        if command.startswith("SELECT"):
            return f"* FLAGS ()\r\n* {self.mails} EXISTS\r\n* OK [UIDVALIDITY 1] is valid\r\n"
        if "SEARCH" in command:
            named = re.search(r"(\d+):(\d+|\*)", command)
            first, last = (int(named[1]), named[2]) if named else (1, "*")
            end = self.mails if last == "*" else int(last)
            numbers = " ".join(str(FIRST_UID + number) for number in range(first, end + 1))
            return f"* SEARCH {numbers}\r\n"
        if command.startswith("CAPABILITY"):
            return "* CAPABILITY IMAP4REV1 UIDPLUS\r\n"
        return ""

    def serve(self, listener: socket.socket) -> None:
        """Answer one client until it has gone."""
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK [CAPABILITY IMAP4REV1 UIDPLUS] ready\r\n")
            for line in lines:
                tag, _, command = line.decode().strip().partition(" ")
                self.told.append(command)
                if self.closes_after is not None and self.closes_after in command:
                    return
                if command.startswith("AUTHENTICATE"):
                    connection.sendall(b"+ \r\n")
                    self.told.append(b64decode(lines.readline()).decode())
                is_refused = any(word in command for word in self.refused)
                status = "NO refused" if is_refused else "OK done"
                connection.sendall(f"{self.answer(command)}{tag} {status}\r\n".encode())


@contextmanager
def imap_server(server: ImapServer) -> Iterator[ImapServer]:
    """Have this server listen, for the length of a block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=[listener], daemon=True)
        thread.start()
        yield server
        thread.join(10)
