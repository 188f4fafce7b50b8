"""Plays a fortnight of digests of which mails come back in every way, on a quick clock.

`make fortnight` runs it: on SQLite with one process, and on PostgreSQL with several. The relay
refuses, defers and takes mails; what was taken comes back as bounces, complaints, out-of-office replies and
requests to unsubscribe, through an alias of a real Postfix, a Maildir, a real Dovecot and the webhooks of
four providers; forgers report falsely. Rates, suppressions and received mails are judged by a plan; a
violation is printed when it is found, and the exit status is 1. Needs root, as Postfix does.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.simulation.daemons import Daemons
from tests.simulation.program import Clock, Program, WeekStopped
from tests.simulation.returns import plan
from tests.simulation.returns.channels import WEBHOOKS, Channels, signer_at
from tests.simulation.returns.fortnight import BEGINS, NEWSLETTER, SCHEDULE, SLOT, Fortnight, Relay
from tests.support import provider_payloads as payloads
from tests.support.dovecot import PASSWORD, USER, dovecot
from tests.support.postfix import postfix
from tests.support.receiver import pipelining, receiver
from tools.week import PROCESSES, databases, free_ports


def live(engine: str, url: str, folder: Path, number: int, seed: int) -> bool:
    """Play the fortnight on an empty database; whether nothing was wrong."""
    begun = time.monotonic()
    readers = plan.draw(number, (*plan.MAIL, *WEBHOOKS), seed)
    relay = Relay(readers)
    roles = PROCESSES[engine]
    ports = free_ports(sum(not those or "web" in those for those in roles))
    maildir = folder / "Maildir"
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True)
    signer = signer_at(BEGINS)
    certificate = folder / "amazon.pem"
    certificate.write_bytes(signer.certificate)
    mail = folder / "mail"
    mail.mkdir()
    imap = folder / "imap"
    imap.mkdir()
    clock = Clock(folder / "clock", BEGINS)
    with (
        receiver(pipelining(relay.answer), relay.accept) as smtp,
        dovecot(imap) as server,
    ):
        settings = {
            "database_url": url,
            "smtp_url": f"smtp://127.0.0.1:{smtp.port}",
            "base_url": f"http://127.0.0.1:{ports[0]}",
            "staff_address": "desk@news.example",
            "lease": "8s",
            "bounce_address": "bounce@news.example",
            "bounce_fetch_url": f"maildir:{maildir}",
            "webhook_keys": f"ses={payloads.TOPIC},mailgun={payloads.MAILGUN_KEY},postmark,brevo",
        }
        os.environ |= {
            "AMAZON_CERTIFICATE": str(certificate),
            "SSL_CERT_FILE": str(server.authority),
        }
        program = Program(folder, settings, clock)
        password = quote(PASSWORD, safe="")
        imap_url = f"imaps://{USER}:{password}@localhost:{server.tls_port}/INBOX"
        second = Program(folder, {**settings, "bounce_fetch_url": imap_url}, clock)

        def process(raw: bytes) -> int:
            path = mail / "returned.eml"
            path.write_bytes(raw)
            try:
                program.type("bounce", "process", str(path))
            except WeekStopped as error:
                print(error)
                return 75
            return 0

        with postfix(mail, "bounce", process) as alias:
            set_up(program, readers)
            addresses = {row["provider"]: row["address"] for row in program.ask("webhook", "show")}
            channels = Channels(program, alias, maildir, server.maildir, signer, addresses)
            story = Fortnight(program, second, relay, channels, readers, random.Random(seed))
            daemons = Daemons(program, roles, ports)
            try:
                with daemons:
                    story.play()
                    daemons.stop()
                story.judge()
            except (WeekStopped, ValueError, KeyError) as stop:
                story.check(False, f"{type(stop).__name__}: {stop}")
            finally:
                program.shell.close()
                second.shell.close()
            if story.violations:
                print(daemons.log()[-4000:])
    print(story.summary())
    word = f"{len(story.violations)} violations" if story.violations else "nothing wrong"
    print(f"{engine}: {word}, in {time.monotonic() - begun:.0f} s", flush=True)
    return not story.violations


def set_up(program: Program, readers: list[plan.Reader]) -> None:
    """Set a newspaper up, and bring its readers in."""
    program.type("init")
    program.type(
        *("newsletter", "add", NEWSLETTER, "--title", "The Courier"),
        *("--from", "The Courier <courier@news.example>", "--postal-address", "1 Quay Street"),
    )
    program.type(
        *("schedule", "add", NEWSLETTER, SCHEDULE.partition("/")[2], "--at", SLOT, "--zone", "UTC"),
        *("--newcomers", "next"),
    )
    path = program.folder / "readers.csv"
    path.write_text("email\n" + "".join(f"{reader.address}\n" for reader in readers))
    program.type(
        *("subscriber", "import", str(path), "--newsletter", NEWSLETTER),
        *("--schedule", SCHEDULE, "--consent-source", "the old system"),
    )


def main() -> int:
    """Play the fortnight on each engine that is asked for; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--readers", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    engines = ["sqlite", "postgresql"] if asked.engine == "both" else [asked.engine]
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mailer-fortnight-", dir=fast) as name:
        folder = Path(name)
        # Postfix's and Dovecot's own users pass through it.
        folder.chmod(0o755)
        found = []
        with databases(engines, folder) as urls:
            for engine in engines:
                (folder / engine).mkdir()
                found.append(live(engine, urls[engine], folder / engine, asked.readers, asked.seed))
        return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
