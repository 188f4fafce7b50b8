"""Runs a real Dovecot on loopback with TLS, for one user whose mails are in a Maildir.

Works as any user. Dovecot wants users of its own; here everything runs as the one who runs the tests, or as
`nobody` where that is root.
"""

import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import Certificates
from tests.support.waiting import wait_until

USER, PASSWORD = "bounce", "p@ss/word%"

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
protocols = imap
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = {uid}
first_valid_gid = 0
mail_location = maildir:{folder}/Maildir
mail_home = {folder}
mmap_disable = yes
auth_mechanisms = plain login
disable_plaintext_auth = yes
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A server that runs. `authority` is the file with the certificate to trust."""

    port: int
    tls_port: int
    maildir: Path
    authority: Path
    log: Path


@contextlib.contextmanager
def dovecot(folder: Path) -> Iterator[Dovecot]:
    """A server whose files are in `folder`, until the end of the block."""
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    maildir = folder / "Maildir"
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True)
    certificates = Certificates(folder)
    certificates.issue("server", "localhost")
    if os.geteuid() == 0:
        for path in (folder, maildir, *maildir.iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    port, tls_port = _free_ports(2)
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    configuration = folder / "dovecot.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            certificate=folder / "server.pem",
            key=folder / "server.key",
            user=owner.pw_name,
            group=grp.getgrgid(owner.pw_gid).gr_name,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            port=port,
            tls_port=tls_port,
        )
    )
    program = shutil.which("dovecot", path=f"{os.defpath}:/usr/sbin")
    assert program is not None
    process = subprocess.Popen([program, "-F", "-c", str(configuration)], start_new_session=True)
    try:
        wait_until(lambda: _listens(tls_port) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield Dovecot(port, tls_port, maildir, certificates.file, folder / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
