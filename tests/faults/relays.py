"""Runs a relay that a test can make misbehave, and keeps what it saw. Never asks the mailer.

What it takes is written to its file, and on the disk, before its answer is said, so that this file alone
tells who got what, and when. A mail that it takes and leaves without an answer is taken all the same.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.receiver import Answer, Mail, Receiver, fine, pipelining, receiver
from tests.support.waiting import wait_until

FULL = os.environ.get("FAULTS") == "full"
"""The sizes of the fault matrix, instead of those that every run of the tests can afford."""


def size(short: int, full: int) -> int:
    """How many readers a test has: the first in each run of the tests, the second in a full one."""
    return full if FULL else short


@dataclass
class Relay:
    """A relay and its file.

    Attributes:
        says: what it answers now; a test puts another one here at any time.
        refused: what it answered with anything but a success: the verb, its argument, and when.
        taken_without_reader: how many mails with no recipient came, which are the lone dots of RFC 2920.
        hold_seconds: how long it waits between its file and its answer to a final dot.
    """

    file: Path
    says: Answer
    hold_seconds: float = 0.0
    refused: list[tuple[str, str, float]] = field(default_factory=list)
    taken_without_reader: int = 0
    commands_at: list[tuple[str, float]] = field(default_factory=list)
    seen: Receiver = field(init=False)
    _transaction: threading.local = field(default_factory=threading.local)

    @property
    def port(self) -> int:
        return self.seen.port

    def answer(self, verb: str, argument: str) -> str | None:
        """What is said to this command; a recipient must have been taken before DATA is."""
        self.commands_at.append((verb, time.monotonic()))
        said = self.says(verb, argument)
        transaction = self._transaction
        if verb in {"MAIL", "RSET", "EHLO", "HELO"}:
            transaction.has_recipient = False
        if verb == "RCPT":
            transaction.has_recipient = said is not None and said.startswith("2")
        if verb == "DATA" and not transaction.has_recipient and said == "354 go on":
            return "554 5.5.1 no valid recipients"
        if said is None or said[0] in "45":
            self.refused.append((verb, argument, time.monotonic()))
        return said

    def accept(self, mail: Mail) -> None:
        """Write down what is taken."""
        if not self._transaction.has_recipient:
            self.taken_without_reader += 1
            return
        line = {
            "to": mail.recipient,
            "delivery": mail.header("X-Mailer-Delivery"),
            "digest": mail.header("X-Mailer-Digest"),
            "message_id": mail.header("Message-ID"),
            "at": time.monotonic(),
        }
        out = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(out, json.dumps(line).encode() + b"\n")
            os.fsync(out)
        finally:
            os.close(out)
        time.sleep(self.hold_seconds)

    def count(self, verb: str) -> int:
        """How many commands of this kind came; "CONNECT" counts connections, "DOT" final dots."""
        return len(self.times(verb))

    def times(self, verb: str) -> list[float]:
        """When they came, by the monotonic clock."""
        return [at for one, at in list(self.commands_at) if one == verb]

    def refusals(self, verb: str) -> list[float]:
        """When it did not answer a command of this kind with a success."""
        return [at for one, _, at in list(self.refused) if one == verb]


@contextmanager
def relay(file: Path, says: Answer = fine, *, pipelines: bool = True) -> Iterator[Relay]:
    """A relay in threads of this process."""
    found = Relay(file, says)
    answer: Answer = found.answer
    with receiver(_offering(answer) if pipelines else answer, found.accept) as seen:
        found.seen = seen
        yield found


def _offering(answer: Answer) -> Answer:
    """PIPELINING, by a relay that takes EHLO at all."""

    def offering(verb: str, argument: str) -> str | None:
        said = answer(verb, argument)
        if verb == "EHLO" and said is not None and said.startswith("250"):
            return pipelining(lambda *_: said)(verb, argument)
        return said

    return offering


def instead(verb: str, said: str | None, other: Answer = fine) -> Answer:
    """Says this to one kind of command, and what `other` says to all the rest."""
    return lambda one, argument: said if one == verb else other(one, argument)


def slowly(seconds: float, other: Answer = fine) -> Answer:
    """Takes so long for each of its replies."""

    def answer(verb: str, argument: str) -> str | None:
        time.sleep(seconds)
        return other(verb, argument)

    return answer


@contextmanager
def smtp_sink(
    port: int, *options: str, dump: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Postfix's smtp-sink on this port of loopback, which may end by itself.

    Args:
        dump: what it takes is appended to this file, in a folder of its own.
    """
    program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    own = ["-u", "nobody"] if os.geteuid() == 0 else []
    if dump is not None:
        # It gives up its rights before it opens files, and writes each mail to one beside this first.
        dump.parent.mkdir(exist_ok=True)
        dump.parent.chmod(0o777)
        dump.parent.parent.chmod(0o711)
        own += ["-D", str(dump)]
    process = subprocess.Popen(
        [program, *own, *options, f"127.0.0.1:{port}", "64"], stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port))
        yield process
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def copies_in(dump: Path) -> Counter[str]:
    """How many mails smtp-sink took for each recipient."""
    prefix = b"X-Rcpt-Args: <"
    return Counter(
        line.removeprefix(prefix).partition(b">")[0].decode()
        for line in (dump.read_bytes() if dump.exists() else b"").splitlines()
        if line.startswith(prefix)
    )


def waits_told(log: Path) -> int:
    """How many times a worker's log says that the relay is left alone for a while."""
    return log.read_text().count("next try in") if log.exists() else 0
