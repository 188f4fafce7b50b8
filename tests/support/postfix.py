"""Runs a real Postfix on loopback, which delivers mail for one address to a command.

Needs root, as Postfix does. Postfix runs commands as `nobody`, who may not read the tests' folder nor Python:
the command hands what it gets through a socket to this process, which runs it and says how it ended.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import wait_until

DOMAIN = "news.example"

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mail.{domain}
mydestination = {domain}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_transport = error: only for {domain}
alias_maps = hash:{folder}/aliases
alias_database =
local_recipient_maps =
recipient_delimiter = +
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 1 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
error     unix - - n - - error
retry     unix - - n - - error
local     unix - n n - - local
smtp      unix - - n - - smtp
anvil     unix - - n - 1 anvil
proxymap  unix - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
"""

_COMMAND = """#!/usr/bin/perl
use IO::Socket::UNIX;
my $socket = IO::Socket::UNIX->new(Peer => "{socket}") or exit 75;
local $/;
print $socket <STDIN>;
$socket->shutdown(1);
my $status = <$socket>;
exit($status eq "" ? 75 : $status);
"""


@dataclass
class Postfix:
    """A server that runs. `statuses` are the exit codes with which its command ended, in their order."""

    port: int
    log: Path
    statuses: list[int] = field(default_factory=list)


@contextlib.contextmanager
def postfix(folder: Path, alias: str, command: Callable[[bytes], int]) -> Iterator[Postfix]:
    """A server that gives mail for `alias`, and for `alias+anything`, to `command`.

    Args:
        folder: for its files; all users may enter it.
        command: gets the mail, and returns the exit code for Postfix.
    """
    for name in ("queue", "data", "conf"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"folder": folder, "domain": DOMAIN, "port": port, "socket": folder / "command.socket"}
    (folder / "conf" / "main.cf").write_text(_MAIN.format(**names))
    (folder / "conf" / "master.cf").write_text(_MASTER.format(**names))
    script = folder / "command"
    script.write_text(_COMMAND.format(**names))
    script.chmod(0o755)
    (folder / "aliases").write_text(f'{alias}: "|{script}"\n')
    _run("postalias", folder, f"hash:{folder}/aliases")
    server = Postfix(port, folder / "log")
    with _answering(names["socket"], command, server.statuses):
        _run("postfix", folder, "start")
        try:
            wait_until(lambda: _greets(port))
            yield server
        finally:
            _run("postfix", folder, "abort")


def _run(program: str, folder: Path, argument: str) -> None:
    path = shutil.which(program, path=f"{os.defpath}:/usr/sbin")
    assert path is not None
    ended = subprocess.run(
        [path, "-c", str(folder / "conf"), argument], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@contextlib.contextmanager
def _answering(
    path: object, command: Callable[[bytes], int], statuses: list[int]
) -> Iterator[None]:
    """Run `command` for what comes through the socket at `path`, one after the other."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        os.chmod(str(path), 0o666)
        listening.listen()

        def answer_all() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as incoming:
                    status = command(incoming.read())
                    statuses.append(status)
                    connection.sendall(str(status).encode())

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Closing alone does not end an accept that waits.
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _greets(port: int) -> bool:
    with socket.socket() as client:
        if client.connect_ex(("127.0.0.1", port)) != 0:
            return False
        return client.recv(4).startswith(b"220")
