"""`mailer doctor` against real servers on loopback: DNS, a relay with TLS and logins, a website with TLS.

A perfect installation first, then the same with one thing broken at a time.
"""

import ipaddress
import json
import shutil
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mailer.db import Database
from mailer.doctor.probes.relay_probe import own_address
from mailer.tokens import Keys
from tests.support.certificates import DAY, Certificates
from tests.support.commands import NEWSLETTER, Ended, own_environment, type_command
from tests.support.dns_server import DnsServer, dns_server, txt
from tests.support.http_site import Request, http_site, respond
from tests.support.tls_front import tls_front
from tests.support.tls_relay import PASSWORD, USER, Handler, aiosmtpd_relay
from tests.support.website import serving

HOST = "letters.news.example"
KEYS = Keys(
    secrets=(b"secret key of this module" * 2,), identity=b"identity key of this module" * 2
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.issue("relay", "localhost", 60 * DAY)
    made.issue("website", HOST, 60 * DAY)
    made.issue("other", "other.example", 60 * DAY)
    made.issue("old", HOST, -DAY)
    made.issue("soon", HOST, 5 * DAY)
    return made


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, a newsletter and a key for DKIM, whose record is in the file `record`."""
    folder = tmp_path_factory.mktemp("installation")
    key = ("dkim", "new", "--domain", "news.example", "--selector", "s1", "--json")
    for arguments in (("init", "--yes"), NEWSLETTER, key):
        ended = type_command(*arguments, folder=folder, environment=own_environment())
        assert ended.returncode == 0, ended.stderr
    (folder / "record").write_text(json.loads(ended.stdout)["value"])
    return folder


@dataclass
class World:
    """An installation, and all that surrounds it."""

    folder: Path
    dns: DnsServer
    relay: Handler
    website_port: int
    settings: dict[str, str] = field(default_factory=dict)

    def type(self, *arguments: str) -> Ended:
        own = {f"MAILER_{name.upper()}": text for name, text in self.settings.items() if text}
        trusted = {"SSL_CERT_FILE": str(self.folder / "authority.pem")}
        environment = own_environment() | own | trusted
        return type_command(*arguments, folder=self.folder, environment=environment)

    def findings(self, *options: str, status: int | None = None) -> list[dict[str, Any]]:
        ended = self.type("doctor", "--json", "--resolver", self.dns.address, *options)
        document = json.loads(ended.stdout)
        assert document["ok"] is (ended.returncode == 0)
        found: list[dict[str, Any]] = document["findings"]
        bad = [one for one in found if one["severity"] != "ok"]
        assert status in (None, ended.returncode), (bad, ended.stderr)
        return found

    def bad(self, *options: str) -> list[tuple[str, str, str]]:
        """All that is not fine."""
        return [
            (one["check"], one["severity"], one["what"])
            for one in self.findings(*options)
            if one["severity"] != "ok"
        ]


@dataclass(frozen=True)
class Servers:
    """What runs for all tests of this module."""

    dns: DnsServer
    relay: Handler
    relay_port: int
    website_port: int


@pytest.fixture(scope="module")
def servers(certificates: Certificates, installation: Path) -> Iterator[Servers]:
    options = {
        "tls_context": certificates.server("relay"),
        "require_starttls": True,
        "auth_required": True,
        "enable_SMTPUTF8": True,
        "data_size_limit": 10_000_000,
    }
    database = Database(f"sqlite:///{installation / 'mailer.db'}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        relay_port: int = probe.getsockname()[1]
    with (
        dns_server() as dns,
        serving(database, KEYS) as website,
        tls_front(certificates.server("website"), website.port) as port,
        aiosmtpd_relay(relay_port, **options) as relay,
    ):
        yield Servers(dns, relay, relay_port, port)
    database.dispose()


@pytest.fixture
def world(
    tmp_path: Path, certificates: Certificates, installation: Path, servers: Servers
) -> World:
    shutil.copytree(installation, tmp_path, dirs_exist_ok=True)
    shutil.copy(certificates.file, tmp_path)
    for seen in (servers.relay.commands, servers.relay.logins, servers.dns.asked):
        seen.clear()
    servers.dns.bad.clear()
    servers.dns.zone.clear()
    servers.dns.zone.update(zone((tmp_path / "record").read_text()))
    for name in ("new", "cur", "tmp"):
        (tmp_path / "bounces" / name).mkdir(parents=True)
    world = World(tmp_path, servers.dns, servers.relay, servers.website_port)
    relay = f"{USER}:{quote(PASSWORD)}@localhost:{servers.relay_port}"
    world.settings = {
        "smtp_url": f"smtp://{relay}?tls=starttls",
        "base_url": f"https://{HOST}:{servers.website_port}",
        "staff_address": "staff@news.example",
        "bounce_address": "bounce@news.example",
        "bounce_fetch_url": f"maildir:{tmp_path / 'bounces'}",
        "dkim_key": str(tmp_path / "dkim-s1.pem"),
        "dkim_selector": "s1",
        "dkim_domain": "news.example",
    }
    return world


def zone(dkim: str) -> dict[tuple[str, str], list[str]]:
    """Perfect records."""
    records = {
        ("news.example", "MX"): ["10 mail.news.example."],
        ("mail.news.example", "A"): ["192.0.2.10"],
        ("news.example", "TXT"): [txt("v=spf1 ip4:192.0.2.10 -all")],
        ("_dmarc.news.example", "TXT"): [txt("v=DMARC1; p=none; rua=mailto:dmarc@news.example")],
        ("s1._domainkey.news.example", "TXT"): [txt(dkim)],
        (HOST, "A"): ["127.0.0.1"],
    }
    own = own_address()
    if own is not None and ipaddress.ip_address(own).is_global:
        # The machine that runs the tests can be seen from outside, so its relay would be judged.
        pointer = ipaddress.ip_address(own).reverse_pointer
        records |= {(pointer, "PTR"): ["own.news.example."], ("own.news.example", "A"): [own]}
        records["news.example", "TXT"] = [txt(f"v=spf1 ip4:{own} -all")]
    return records


def test_nothing_is_wrong_with_a_perfect_installation(world: World) -> None:
    found = world.findings(status=0)
    assert {one["severity"] for one in found} == {"ok"}, found
    checks = {one["check"] for one in found}
    assert checks == {
        *("spf", "dkim", "dmarc", "alignment", "mx", "ptr", "relay", "website", "one-click", "clock"),
        *("schema", "disk", "backups", "permissions", "postal-address", "staff-address", "bounces", "volume"),
    }  # fmt: skip
    # It logs in, and begins no mail.
    assert len(world.relay.logins) == 1
    assert "MAIL" not in world.relay.commands
    asked = {name for name, _ in world.dns.asked}
    assert all(name.endswith(("example", "arpa")) for name in asked)


def test_postgresql_needs_no_disk_here(world: World, postgresql_url: str) -> None:
    world.settings["database_url"] = postgresql_url
    assert world.type("db", "upgrade").returncode == 0
    assert world.type(*NEWSLETTER).returncode == 0
    checks = {one["check"] for one in world.findings(status=0)}
    assert "schema" in checks
    assert "disk" not in checks


Break = Callable[[World], None]


def record(name: str, kind: str, *records: str) -> Break:
    """Publish other records, or none."""

    def publish(world: World) -> None:
        world.dns.zone[name, kind] = list(records)

    return publish


def setting(name: str, text: str) -> Break:
    def change(world: World) -> None:
        world.settings[name] = text

    return change


DMARC = "_dmarc.news.example"
KEY = "s1._domainkey.news.example"
SPF = ("news.example", "TXT")
BROKEN = [
    (record(*SPF), "spf", "problem", "no SPF record"),
    (record(*SPF, txt("v=spf1 -all"), txt("v=spf1 mx -all")), "spf", "problem", "only one is allowed"),
    (record(*SPF, txt("v=spf1 ip4:300.1.1.1 -all")), "spf", "problem", "not valid"),
    (record(*SPF, txt("v=spf1 " + "a:mail.news.example " * 11 + "-all")), "spf", "problem", "look-ups"),
    (record(*SPF, txt("v=spf1 a:x.example a:y.example mx:z.example ~all")), "spf", "problem", "do not exist"),
    (record(*SPF, txt("v=spf1 include:news.example -all")), "spf", "problem", "includes itself"),
    (record(*SPF, txt("v=spf1 +all")), "spf", "problem", "+all"),
    (record(*SPF, "!SERVFAIL"), "spf", "warning", "could not be checked"),
    (record(KEY, "TXT"), "dkim", "problem", "not in DNS"),
    (record(KEY, "TXT", txt("v=DKIM1; k=rsa; p=")), "dkim", "problem", "revoked"),
    (record(KEY, "TXT", txt("v=DKIM1; k=rsa; p=MIIB")), "dkim", "problem", "another one"),
    (record(KEY, "TXT", "!SERVFAIL"), "dkim", "warning", "could not be checked"),
    (record(DMARC, "TXT"), "dmarc", "problem", "no DMARC record"),
    (record(DMARC, "TXT", txt("v=DMARC1; p=none")), "dmarc", "warning", "rua="),
    (record(DMARC, "TXT", txt("v=DMARC1; p=none;"), txt("v=DMARC1; p=reject;")), "dmarc", "problem",
     "several"),
    (record("news.example", "MX"), "mx", "problem", "takes no mail"),
    (record("news.example", "MX", "0 ."), "mx", "problem", "null MX"),
    (record("mail.news.example", "A"), "mx", "problem", "do not exist"),
    (record(HOST, "A"), "website", "problem", "not in DNS"),
    (record(HOST, "A"), "one-click", "problem", "no answer"),
    (record(HOST, "A", "!SERVFAIL"), "website", "warning", "could not be checked"),
    (setting("staff_address", ""), "staff-address", "warning", "nobody is told"),
    (setting("bounce_address", ""), "bounces", "warning", "returned mails"),
    (setting("bounce_fetch_url", ""), "bounces", "warning", "no way to read this mailbox"),
    (setting("bounce_address", "bounce@other.example"), "alignment", "warning", "only DKIM"),
    (setting("base_url", "http://127.0.0.1:8000"), "website", "warning", "this machine only"),
    (setting("webhook_keys", "postmark"), "webhooks", "ok", "may report"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("break_it", "check", "severity", "words"), BROKEN, ids=[f"{row[1]}-{row[3]}" for row in BROKEN]
)
def test_one_thing_that_is_broken_is_found(
    world: World, break_it: Break, check: str, severity: str, words: str
) -> None:
    break_it(world)
    if words == "may report":
        # Such a provider replaces what the app would sign.
        for name in ("dkim_key", "dkim_selector", "dkim_domain"):
            world.settings[name] = ""
        world.settings["relay_signs_dkim"] = "true"
    found = world.findings()
    hits = [one for one in found if (one["check"], one["severity"]) == (check, severity)]
    assert any(words in one["what"] for one in hits), found
    for one in found:
        if one["severity"] == "problem":
            assert one["do"], one


def test_nobody_signs(world: World) -> None:
    for name in ("dkim_key", "dkim_selector", "dkim_domain"):
        world.settings[name] = ""
    checks = {check for check, severity, _ in world.bad() if severity == "problem"}
    assert checks == {"dkim"}
    world.settings["bounce_address"] = "bounce@other.example"
    checks = {check for check, severity, _ in world.bad() if severity == "problem"}
    assert {"dkim", "alignment"} <= checks


def test_a_newsletter_of_another_domain_is_named(world: World) -> None:
    arguments = (
        "newsletter",
        "add",
        "weekly",
        "--title",
        "Weekly",
        "--from",
        "W <w@weekly.example>",
    )
    assert world.type(*arguments, "--postal-address", "1 Sample Street").returncode == 0
    (dkim,) = [
        one for one in world.findings() if one["check"] == "dkim" and one["severity"] != "ok"
    ]
    assert (dkim["subject"], dkim["severity"]) == ("weekly", "problem")


def relay_url(world: World, login: str, host: str = "localhost") -> str:
    port_and_tls = world.settings["smtp_url"].rpartition(":")[2]
    return f"smtp://{login}{host}:{port_and_tls}"


def test_a_wrong_password_is_found(world: World) -> None:
    world.settings["smtp_url"] = relay_url(world, f"{USER}:wrong@")
    ((check, severity, what),) = world.bad()
    assert (check, severity, "login" in what) == ("relay", "problem", True)
    assert "wrong" not in what


def test_a_certificate_for_another_name_is_found(world: World) -> None:
    world.settings["smtp_url"] = relay_url(world, f"{USER}:{quote(PASSWORD)}@", "127.0.0.2")
    ((check, severity, what),) = world.bad()
    assert (check, severity) == ("relay", "problem")
    assert "TLS" in what or "reached" in what


def test_a_relay_that_nobody_trusts_is_found(world: World) -> None:
    (world.folder / "authority.pem").write_text("")
    found = world.bad()
    assert ("relay", "problem") in {(check, severity) for check, severity, _ in found}
    assert not world.relay.logins


def test_a_relay_that_is_away_is_found(world: World, tmp_path: Path) -> None:
    world.settings["smtp_url"] = "smtp://localhost:1?tls=none"
    ((check, severity, what),) = world.bad()
    assert (check, severity, "cannot be reached" in what) == ("relay", "problem", True)


@pytest.mark.parametrize(
    ("certificate", "severity", "words"),
    [
        ("other", "problem", "certificate"),
        ("old", "problem", "expired"),
        ("soon", "warning", "expires"),
    ],
)
def test_the_websites_certificate_is_judged(
    world: World, certificates: Certificates, certificate: str, severity: str, words: str
) -> None:
    with fronted(certificates.server(certificate), _answer) as port:
        world.settings["base_url"] = f"https://{HOST}:{port}"
        found = world.findings()
    (finding,) = [one for one in found if one["check"] == "website"]
    assert (finding["severity"], words in finding["what"]) == (severity, True), finding


@contextmanager
def fronted(context: ssl.SSLContext, get: Callable[[Request], None]) -> Iterator[int]:
    """Another web site than ours behind TLS; its port."""
    with (
        http_site(get) as site,
        tls_front(context, int(site.rpartition(":")[2])) as port,
    ):
        yield port


def _answer(request: Request) -> None:
    respond(request, 200, b"ok\n")


def test_a_redirect_and_another_site_are_found(world: World, certificates: Certificates) -> None:
    def move(request: Request) -> None:
        respond(request, 301, Location="https://www.news.example/\x1b[2J")

    for get, words in ((move, "redirects to"), (lambda one: respond(one, 200, b"<h1>"), "not as")):
        with fronted(certificates.server("website"), get) as port:
            world.settings["base_url"] = f"https://{HOST}:{port}"
            found = world.bad()
        assert any(words in what for check, _, what in found if check == "website"), found
        assert any(check == "one-click" for check, _, _ in found)


def test_a_clock_that_is_wrong_is_found(world: World, certificates: Certificates) -> None:
    def yesterday(request: Request) -> None:
        request.send_response_only(200)
        request.send_header("Date", "Fri, 27 Nov 2020 07:00:00 GMT")
        request.send_header("Content-Length", "3")
        request.end_headers()
        request.wfile.write(b"ok\n")

    with fronted(certificates.server("website"), yesterday) as port:
        world.settings["base_url"] = f"https://{HOST}:{port}"
        found = world.bad()
    assert any(check == "clock" and "ahead of" in what for check, _, what in found), found


def test_files_that_others_may_read_are_found(world: World) -> None:
    (world.folder / "mailer.db").chmod(0o644)
    key = Path(world.settings["dkim_key"])
    key.chmod(0o644)
    found = {(check, severity) for check, severity, _ in world.bad()}
    assert ("permissions", "warning") in found
    assert {("permissions", "problem"), ("dkim", "problem")} <= found
    assert stat.S_IMODE(key.stat().st_mode) == 0o644


def test_a_database_that_is_not_there_costs_only_what_is_in_it(world: World) -> None:
    world.settings["database_url"] = f"sqlite:///{world.folder / 'other.db'}"
    found = world.findings(status=1)
    bad = {one["check"] for one in found if one["severity"] == "problem"}
    assert {"schema", "disk"} <= bad
    assert any(one["check"] == "relay" and one["severity"] == "ok" for one in found)
    assert not any(one["check"] == "volume" for one in found)
    assert not (world.folder / "other.db").exists()


# It waits for answers that do not come.
@pytest.mark.thorough
def test_a_silent_resolver_and_nothing_else_there_is_said_and_ends(world: World) -> None:
    for name in ("news.example", KEY, HOST):
        world.dns.bad[name] = lambda query: None
    found = world.findings(status=0)
    for check in ("spf", "dkim", "mx", "website", "one-click"):
        hits = [one for one in found if one["check"] == check]
        assert any("could not be checked" in one["what"] for one in hits), check


def test_people_read_problems_first_and_what_to_publish(world: World) -> None:
    world.dns.zone[KEY, "TXT"] = []
    world.dns.zone[DMARC, "TXT"] = [txt("v=DMARC1; p=none; \x1b[2J")]
    ended = world.type("doctor", "--resolver", world.dns.address)
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0] == f"PROBLEM  dkim  {KEY}"
    assert any(line.startswith(f"  publish: {KEY}  TXT  v=DKIM1; k=rsa; p=") for line in lines)
    assert any(line.startswith("  in pieces: ") for line in lines)
    assert any("https://www.rfc-editor.org/" in line for line in lines)
    kinds = [line.split("  ")[0] for line in lines if line and not line.startswith(" ")]
    order = ["PROBLEM", "WARNING", "ok"]
    assert kinds == sorted(kinds, key=order.index)
    assert "\x1b" not in ended.stdout
    # The relay, which runs in this process, may log something too.
    (*_, last) = ended.stderr.splitlines()
    assert last == "error: 1 problem found; do what is listed, then run this again"


def test_status_repeats_what_was_found_and_asks_nobody(world: World) -> None:
    def warnings() -> list[str]:
        ended = world.type("status", "--json")
        found: list[str] = json.loads(ended.stdout)["warnings"]
        return [warning for warning in found if "doctor" in warning]

    (never,) = warnings()
    assert "nobody has run" in never
    world.dns.zone[KEY, "TXT"] = []
    world.findings(status=1)
    world.dns.asked.clear()
    (missing,) = warnings()
    assert missing.startswith(f"dkim: {KEY}: the public key is not in DNS")
    assert not world.dns.asked
    world.dns.zone[KEY, "TXT"] = [txt((world.folder / "record").read_text())]
    world.findings(status=0)
    assert warnings() == []


def test_the_mailbox_of_returned_mail_is_opened(world: World) -> None:
    folder = world.folder / "Maildir"
    world.settings["bounce_fetch_url"] = f"maildir:{folder}"
    ((check, severity, what),) = world.bad()
    assert (check, severity, "not a Maildir" in what) == ("bounces", "problem", True)
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    assert world.bad() == []
    world.settings["bounce_fetch_url"] = "imap://bounce:geheim@127.0.0.1:1/INBOX?tls=none"
    (finding,) = [one for one in world.findings(status=1) if one["severity"] != "ok"]
    assert "cannot be reached" in finding["what"]
    assert "geheim" not in json.dumps(finding)


def test_a_received_mail_is_checked_alone(world: World) -> None:
    path = world.folder / "received.eml"
    path.write_bytes(b"From: Daily <daily@news.example>\r\nSubject: News\r\n\r\nText\r\n")
    found = world.bad("--eml", str(path))
    assert ("dkim", "problem", "the mail has no DKIM signature") in found
    assert not world.relay.commands
    ended = world.type("doctor", "--eml", "nowhere.eml")
    assert (ended.returncode, "cannot read nowhere.eml" in ended.stderr) == (1, True)


def test_a_bad_resolver_is_refused(world: World) -> None:
    ended = world.type("doctor", "--resolver", "dns.example")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "IP address" in ended.stderr
