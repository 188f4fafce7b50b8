"""What is typed wrong is refused in one line that names the next step, and nothing is half done."""

import hashlib
import socket
import sqlite3
from pathlib import Path

import pytest

from tests import typed

KEYS = {"MAILER_SECRET_KEY": "s" * 40, "MAILER_IDENTITY_KEY": "i" * 40}


def type_command(folder: Path, *arguments: str, **environment: str) -> typed.Ended:
    """Type a command in `folder`."""
    return typed.type_command(
        *arguments, folder=folder, environment=typed.own_environment() | environment
    )


def assert_refused(ended: typed.Ended, told: str, codes: tuple[int, ...] = (1,)) -> None:
    """One line on stderr that begins with `error: ` and holds `told`, nothing on stdout."""
    assert ended.returncode in codes, ended.stderr
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("error: ")
    assert told in lines[0]


def content(path: Path) -> str:
    """A digest of all that a SQLite database holds."""
    connection = sqlite3.connect(path)
    try:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installation: the newsletter `daily` with its schedule `morning`."""
    folder = tmp_path_factory.mktemp("installation")
    (folder / "notes.txt").write_text("This is no feed and no mail.\n")
    (folder / "readers.csv").write_text("address\nreader@example.com\n")
    (folder / "binary.csv").write_bytes(b"email\n\xff\xfe\xfd@example.com\n\x00")
    for arguments in (
        ("init",),
        ("newsletter", "add", "daily", "--title", "The Daily", "--from",
         "The Daily <daily@news.example>", "--postal-address", "1 Sample Street"),
        ("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "Europe/Paris"),
    ):  # fmt: skip
        ended = type_command(folder, *arguments)
        assert ended.returncode == 0, ended.stderr
    return folder


NEWSLETTER = ("newsletter", "add", "weekly", "--title", "The Weekly", "--from",
              "The Weekly <weekly@news.example>", "--postal-address", "1 Sample Street")  # fmt: skip
CLOSED_PORT = "http://127.0.0.1:1/feed"

REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "newsletter add: slug": ((*NEWSLETTER[:2], "The Weekly", *NEWSLETTER[3:]), "daily-news"),
    "newsletter add: taken": ((*NEWSLETTER[:2], "daily", *NEWSLETTER[3:]), "mailer newsletter edit"),
    "newsletter add: sender": ((*NEWSLETTER, "--from", "weekly@news.example"), "--from"),
    "newsletter add: address": ((*NEWSLETTER, "--from", "The Weekly <weekly>"), "@-sign. Check how"),
    "newsletter add: language": ((*NEWSLETTER, "--language", "xx"), "only in en, ar, fr, hy, ru"),
    "newsletter add: logo": ((*NEWSLETTER, "--logo", "http://news.example/l.png"), "https"),
    "newsletter add: color": ((*NEWSLETTER, "--color", "red"), "#"),
    "newsletter add: feed": ((*NEWSLETTER, "--feed", "file:///etc/passwd"), "http"),
    "newsletter add: feed that nobody serves": (
        (*NEWSLETTER, "--feed", "http://nothing.example/feed"), "check the address"),
    "newsletter show": (("newsletter", "show", "nothing"), "mailer newsletter list"),
    "newsletter edit": (("newsletter", "edit", "nothing", "--title", "x"), "mailer newsletter list"),
    "newsletter embed": (("newsletter", "embed", "nothing"), "mailer newsletter list"),
    "feed add: newsletter": (("feed", "add", "https://news.example/feed", "--newsletter", "nothing"),
                             "newsletter"),
    "feed add: URL": (("feed", "add", "news.example", "--newsletter", "daily"), "http"),
    "feed add: nobody there": (
        ("feed", "add", CLOSED_PORT, "--newsletter", "daily", "--allow-private"), "check the address"),
    "feed add: private": (("feed", "add", CLOSED_PORT, "--newsletter", "daily"), "--allow-private"),
    "feed refresh": (("feed", "refresh", "https://nothing.example/feed"), "mailer feed add"),
    "feed remove": (("feed", "remove", "https://nothing.example/feed"), "mailer feed add"),
    "feed accept": (("feed", "accept", "https://nothing.example/feed"), "mailer feed add"),
    "feed discard": (("feed", "discard", "https://nothing.example/feed"), "mailer feed add"),
    "article edit": (("article", "edit", "99", "--title", "One"), "mailer article list"),
    "article withdraw": (("article", "withdraw", "99"), "mailer article list"),
    "article add: newsletter": (("article", "add", "--newsletter", "nothing", "--url",
                                 "https://news.example/1", "--title", "One"), "newsletter"),
    "article add: URL": (("article", "add", "--newsletter", "daily", "--url", "javascript:1",
                          "--title", "One"), "http"),
    "article add: time": (("article", "add", "--newsletter", "daily", "--url",
                           "https://news.example/1", "--title", "One", "--published", "soon"),
                          "ISO 8601"),
    "article list": (("article", "list", "--newsletter", "nothing"), "newsletter"),
    "schedule add: newsletter": (("schedule", "add", "nothing", "x", "--at", "07:00", "--zone",
                                  "UTC"), "mailer newsletter list"),
    "schedule add: zone": (("schedule", "add", "daily", "x", "--at", "07:00", "--zone", "CEST"),
                           "IANA"),
    "schedule add: time": (("schedule", "add", "daily", "x", "--at", "25:00", "--zone", "UTC"),
                           "HH:MM"),
    "schedule add: days": (("schedule", "add", "daily", "x", "--at", "07:00", "--days", "someday",
                            "--zone", "UTC"), "mon"),
    "schedule add: monthday": (("schedule", "add", "daily", "x", "--at", "07:00", "--monthday", "32",
                                "--zone", "UTC"), "31"),
    "schedule add: cron": (("schedule", "add", "daily", "x", "--cron", "x", "--zone", "UTC"), "cron"),
    "schedule add: neither": (("schedule", "add", "daily", "x", "--zone", "UTC"), "--at"),
    "schedule add: taken": (("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "UTC"),
                            "mailer schedule edit"),
    "schedule add: name": (("schedule", "add", "daily", "a/b", "--at", "07:00", "--zone", "UTC"),
                           "name"),
    "schedule show": (("schedule", "show", "daily/nothing"), "mailer schedule list"),
    "schedule show: form": (("schedule", "show", "daily"), "SLUG/NAME"),
    "schedule edit": (("schedule", "edit", "daily/nothing", "--at", "08:00"), "mailer schedule list"),
    "schedule edit: zone": (("schedule", "edit", "daily/morning", "--zone", "Mars/Base"), "IANA"),
    "schedule pause": (("schedule", "pause", "daily/nothing"), "mailer schedule list"),
    "schedule resume": (("schedule", "resume", "daily/nothing"), "mailer schedule list"),
    "schedule remove": (("schedule", "remove", "daily/nothing"), "mailer schedule list"),
    "schedule remove: to nowhere": (("schedule", "remove", "daily/morning", "--move-to",
                                     "daily/nothing"), "mailer schedule list"),
    "schedule next": (("schedule", "next", "nothing"), "mailer"),
    "schedule next: from": (("schedule", "next", "daily", "--from", "yesterday"), "ISO 8601"),
    "digest plan": (("digest", "plan", "daily/nothing"), "mailer schedule list"),
    "digest plan: slot": (("digest", "plan", "daily/morning", "--slot", "2026-11-24T06:59"),
                          "mailer schedule next"),
    "digest plan: no time": (("digest", "plan", "daily/morning", "--slot", "soon"), "slot"),
    "digest plan: reader": (("digest", "plan", "daily/morning", "--as", "nobody@example.com"),
                            "subscribe"),
    "digest preview": (("digest", "preview", "nothing/nothing"), "mailer"),
    "digest test: address": (("digest", "test", "daily/morning", "--to", "nobody"), "@-sign. Check how"),
    "digest edit": (("digest", "edit", "daily/nothing", "--subject", "x"), "mailer schedule list"),
    "digest edit: lead": (("digest", "edit", "daily/morning", "--lead", "99"), "mailer article list"),
    "digest edit: drop": (("digest", "edit", "daily/morning", "--drop", "99"), "mailer article list"),
    "digest edit: subject": (("digest", "edit", "daily/morning", "--subject", " "), "--subject"),
    "digest edit: no file": (("digest", "edit", "daily/morning", "--intro", "no.md"), "no.md"),
    "digest edit: other file": (("digest", "edit", "daily/morning", "--intro", "readers.csv"), ".md"),
    "digest once: past": (("digest", "once", "daily", "--at", "2020-01-01 06:00", "--zone", "UTC"),
                          "--at"),
    "digest once: time": (("digest", "once", "daily", "--at", "soon", "--zone", "UTC"), "2026-12-24"),
    "digest once: zone": (("digest", "once", "daily", "--at", "2040-01-01 06:00", "--zone", "Mars/X"),
                          "IANA"),
    "digest once: article": (("digest", "once", "daily", "--at", "2040-01-01 06:00", "--zone", "UTC",
                              "--article", "99"), "mailer article list"),
    "digest report": (("digest", "report", "99"), "mailer digest list"),
    "schedule edit: review": (("schedule", "edit", "daily/morning", "--review", "30m"),
                              "staff_address"),
    "digest send": (("digest", "send", "daily/nothing"), "mailer schedule list"),
    "digest send: slot": (("digest", "send", "daily/morning", "--slot", "2026-11-24T06:59"),
                          "mailer schedule next"),
    "digest list": (("digest", "list", "nothing"), "mailer newsletter list"),
    "digest show": (("digest", "show", "99"), "mailer digest list"),
    "digest cancel": (("digest", "cancel", "99"), "mailer digest list"),
    "delivery list: digest": (("delivery", "list", "--digest", "99"), "mailer digest list"),
    "delivery list: address": (("delivery", "list", "--to", "nobody"), "@-sign. Check how"),
    "subscriber add: address": (("subscriber", "add", "nobody", "--newsletter", "daily"),
                                "@-sign. Check how"),
    "subscriber add: newsletter": (("subscriber", "add", "a@b.example", "--newsletter", "nothing"),
                                   "newsletter"),
    "subscriber add: schedule": (("subscriber", "add", "a@b.example", "--newsletter", "daily",
                                  "--schedule", "daily/nothing"), "schedule"),
    "subscriber show": (("subscriber", "show", "nobody@example.com"), "mailer subscriber list"),
    "subscriber show: address": (("subscriber", "show", "nobody"), "@-sign. Check how"),
    "subscriber unsubscribe": (("subscriber", "unsubscribe", "nobody@example.com"),
                               "mailer subscriber list"),
    "subscriber import: file": (("subscriber", "import", "nothing.csv", "--newsletter", "daily",
                                 "--consent-source", "paper form"), "nothing.csv"),
    "subscriber import: column": (("subscriber", "import", "readers.csv", "--newsletter", "daily",
                                   "--consent-source", "paper form"), "email"),
    "subscriber import: encoding": (("subscriber", "import", "binary.csv", "--newsletter", "daily",
                                     "--consent-source", "paper form"), "UTF-8"),
    "subscriber import: newsletter": (("subscriber", "import", "readers.csv", "--newsletter",
                                       "nothing", "--consent-source", "paper form"), "newsletter"),
    "consent show": (("consent", "show", "nobody"), "@-sign. Check how"),
    "suppression add": (("suppression", "add", "nobody", "--reason", "asked"), "@-sign. Check how"),
    "suppression lift": (("suppression", "lift", "nobody@example.com"), "mailer suppression list"),
    "suppression add: reason": (("suppression", "add", "a@b.example", "--reason", " "), "--reason"),
    "consent show: nobody": (("consent", "show", "a@b.example"), "check how it is written"),
    "subscriber list": (("subscriber", "list", "--newsletter", "nothing"), "mailer newsletter list"),
    "subscriber unsubscribe: newsletter": (("subscriber", "unsubscribe", "a@b.example", "--newsletter",
                                            "nothing"), "mailer newsletter list"),
    "subscriber import: folder": (("subscriber", "import", ".", "--newsletter", "daily",
                                   "--consent-source", "x"), "."),
    "subscriber import: source": (("subscriber", "import", "readers.csv", "--newsletter", "daily",
                                   "--consent-source", " "), "--consent-source"),
    "schedule add: no zone": (("schedule", "add", "daily", "x", "--at", "06:00"), "--zone"),
    "schedule add: never": (("schedule", "add", "daily", "x", "--cron", "0 0 30 2 *", "--zone", "UTC"),
                            "no date fits"),
    "schedule add: both": (("schedule", "add", "daily", "x", "--at", "06:00", "--cron", "* * * * *",
                            "--zone", "UTC"), "leave out --at"),
    "schedule add: max-age": (("schedule", "add", "daily", "x", "--at", "06:00", "--zone", "UTC",
                               "--max-age", "1w"), "30d"),
    "schedule add: too short": (("schedule", "add", "daily", "x", "--at", "06:00", "--days", "mon",
                                 "--zone", "UTC", "--max-age", "3d"), "--max-age 7d or more"),
    "schedule add: newcomers": (("schedule", "add", "daily", "x", "--at", "06:00", "--zone", "UTC",
                                 "--newcomers", "5"), "latest:N"),
    "schedule edit: nothing": (("schedule", "edit", "daily/morning"), "nothing to change"),
    "digest plan: form": (("digest", "plan", "daily"), "SLUG/NAME"),
    "digest plan: no address": (("digest", "plan", "daily/morning", "--as", "nobody"), "@-sign"),
    "digest test: to nobody": (("digest", "test", "daily/morning"), "--to"),
    "digest show: number": (("digest", "show", "x"), "integer"),
    "digest pause": (("digest", "pause", "99"), "mailer digest list"),
    "digest resume": (("digest", "resume", "99"), "mailer digest list"),
    "delivery list: status": (("delivery", "list", "--status", "lost"), "skipped"),
    "delivery resolve": (("delivery", "resolve", "--digest", "99", "--drop"), "mailer digest list"),
    "delivery resolve: both": (("delivery", "resolve", "--digest", "1", "--drop", "--resend"), "--drop"),
    "feed add: link-local": (("feed", "add", "http://169.254.169.254/", "--newsletter", "daily",
                              "--allow-private"), "not on a network"),
    "feed add: a number": (("feed", "add", "http://2130706433/", "--newsletter", "daily"),
                           "--allow-private"),
    "feed add: mapped": (("feed", "add", "http://[::ffff:127.0.0.1]/", "--newsletter", "daily"),
                         "--allow-private"),
    "feed parse": (("feed", "parse", "nowhere.xml"), "cannot be opened"),
    "feed parse: folder": (("feed", "parse", "."), "cannot be opened"),
}  # fmt: skip
"""Arguments, and what the refusal has to hold. What is never named here is not refused by a command."""


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_argument_is_refused_and_changes_nothing(folder: Path, case: str) -> None:
    arguments, told = REFUSED[case]
    before = content(folder / "mailer.db")
    assert_refused(type_command(folder, *arguments), told, codes=(1, 2))
    assert content(folder / "mailer.db") == before


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"MAILER_PORT": "http"}, "65535"),
        ({"MAILER_PROT": "8000"}, "did you mean port?"),
        ({"MAILER_BASE_URL": "http://news.example"}, "https://"),
        ({"MAILER_CONFIG": "nothing.toml"}, "mailer init"),
        ({"MAILER_TEMPLATES": "nothing"}, "templates"),
        ({"MAILER_IDENTITY_KEY": "x" * 40}, "put the one back"),
        ({"MAILER_DATABASE_URL": "sqlite:///nothing.db"}, "mailer db upgrade"),
        ({"MAILER_DATABASE_URL": "sqlite:///notes.txt"}, "database_url"),
        ({"MAILER_DATABASE_URL": "sqlite:////proc/nothing.db"}, "mailer db upgrade"),
        ({"MAILER_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "database_url"),
        ({"MAILER_DATABASE_URL": "mysql://127.0.0.1/x"}, "postgresql://"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("newsletter", "list"),
        ("run",),
        ("pause",),
        ("digest", "plan", "daily/morning"),
    ],
    ids=" ".join,
)
def test_a_wrong_setting_is_refused_by_every_command(
    folder: Path, arguments: tuple[str, ...], environment: dict[str, str], told: str
) -> None:
    before = sorted(path.name for path in folder.iterdir() if "-" not in path.name)
    assert_refused(type_command(folder, *arguments, **environment), told)
    assert sorted(path.name for path in folder.iterdir() if "-" not in path.name) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "web", "worker"),
        ("digest", "send", "daily/morning"),
        ("digest", "test", "daily/morning", "--to", "desk@news.example"),
    ],
    ids=" ".join,
)
def test_no_mail_goes_to_others_with_links_that_work_here_only(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    before = content(folder / "mailer.db")
    ended = type_command(folder, *arguments, MAILER_SMTP_URL="smtp://relay.example")
    assert_refused(ended, "set `base_url`")
    assert content(folder / "mailer.db") == before


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the installation, to be spoiled."""
    for name in ("mailer.toml", "mailer.db"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    return tmp_path


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


ON_A_BROKEN_DATABASE = pytest.mark.parametrize(
    "arguments", [("status",), ("run",), ("newsletter", "list")], ids=" ".join
)


@ON_A_BROKEN_DATABASE
def test_an_old_schema_is_refused_until_it_is_upgraded(
    copy: Path, arguments: tuple[str, ...]
) -> None:
    change(copy / "mailer.db", "UPDATE alembic_version SET version_num = '0000'")
    assert_refused(type_command(copy, *arguments), "mailer db upgrade")


@ON_A_BROKEN_DATABASE
def test_a_newer_schema_is_refused(copy: Path, arguments: tuple[str, ...]) -> None:
    change(copy / "mailer.db", "UPDATE alembic_version SET version_num = '9999'")
    assert_refused(type_command(copy, *arguments), "newer")


def test_a_missing_table_is_told(copy: Path) -> None:
    change(copy / "mailer.db", "ALTER TABLE newsletter RENAME TO lost")
    assert_refused(type_command(copy, "newsletter", "list"), "mailer db upgrade")


def test_a_file_that_others_may_read_is_refused(copy: Path) -> None:
    (copy / "mailer.toml").chmod(0o644)
    assert_refused(type_command(copy, "status"), "chmod 600")


def test_a_port_in_use_is_told(copy: Path, free_port: int) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", free_port))
        busy.listen()
        assert_refused(type_command(copy, "run", MAILER_PORT=str(free_port)), f"port {free_port}")


def test_a_folder_that_nobody_may_write_is_told() -> None:
    # Not even root may make a file there.
    assert_refused(type_command(Path("/proc"), "init"), "cannot be written")
    assert_refused(
        type_command(Path("/proc"), "db", "upgrade", **KEYS), "check that its folder exists"
    )


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    ended = type_command(tmp_path, "init", MAILER_DATABASE_URL="sqlite:///nothing/mailer.db")
    assert_refused(ended, "check that its folder exists")
    assert list(tmp_path.iterdir()) == []
