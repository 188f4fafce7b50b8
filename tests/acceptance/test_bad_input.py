"""What is typed wrong is refused in one line that names the next step, and nothing is half done."""

import hashlib
import shlex
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import commands

KEYS = {"MAILER_SECRET_KEY": "s" * 40, "MAILER_IDENTITY_KEY": "i" * 40}


def type_command(folder: Path, *arguments: str, **environment: str) -> commands.Ended:
    """Type a command in `folder`."""
    return commands.type_command(
        *arguments, folder=folder, environment=commands.own_environment() | environment
    )


def assert_refused(ended: commands.Ended, told: str, codes: tuple[int, ...] = (1,)) -> None:
    """One line on stderr that begins with `error: ` and holds `told`, nothing on stdout."""
    assert ended.returncode in codes, ended.stderr
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("error: ")
    assert told in lines[0]


def content(path: Path) -> str:
    """A digest of all that a SQLite database holds."""
    with closing(sqlite3.connect(path)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installation: the newsletter `daily` with its schedule `morning`."""
    folder = tmp_path_factory.mktemp("installation")
    (folder / "notes.txt").write_text("This is no feed and no mail.\n")
    (folder / "readers.csv").write_text("address\nreader@example.com\n")
    (folder / "binary.csv").write_bytes(b"email\x00\n\xff\xfe\xfd@example.com\n\x00")
    schedule = ("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "Europe/Paris")
    for arguments in (("init",), commands.NEWSLETTER, schedule):
        ended = type_command(folder, *arguments)
        assert ended.returncode == 0, ended.stderr
    return folder


NEWSLETTER = (
    "newsletter add weekly --title 'The Weekly' --postal-address '1 Sample Street'"
    " --from 'The Weekly <weekly@news.example>'"
)

REFUSED = [
    (NEWSLETTER.replace("weekly", "'The Weekly'", 1), "daily-news"),
    (NEWSLETTER.replace("weekly", "daily", 1), "mailer newsletter edit"),
    (f"{NEWSLETTER} --from weekly@news.example", "--from"),
    (f"{NEWSLETTER} --from 'The Weekly <weekly>'", "@-sign. Check how"),
    (f"{NEWSLETTER} --language xx", "only in en, ar, fr, hy, ru"),
    (f"{NEWSLETTER} --logo http://news.example/l.png", "https"),
    (f"{NEWSLETTER} --color red", "#"),
    (f"{NEWSLETTER} --feed file:///etc/passwd", "http"),
    (f"{NEWSLETTER} --feed http://nothing.example/feed", "check the address"),
    ("newsletter show nothing", "mailer newsletter list"),
    ("newsletter edit nothing --title x", "mailer newsletter list"),
    ("newsletter embed nothing", "mailer newsletter list"),
    ("feed add https://news.example/feed --newsletter nothing", "newsletter"),
    ("feed add news.example --newsletter daily", "http"),
    ("feed add http://127.0.0.1:1/feed --newsletter daily --allow-private", "check the address"),
    ("feed add http://127.0.0.1:1/feed --newsletter daily", "--allow-private"),
    ("feed refresh https://nothing.example/feed", "mailer feed add"),
    ("feed remove https://nothing.example/feed", "mailer feed add"),
    ("feed accept https://nothing.example/feed", "mailer feed add"),
    ("feed discard https://nothing.example/feed", "mailer feed add"),
    ("article edit 99 --title One", "mailer article list"),
    ("article withdraw 99", "mailer article list"),
    ("article add --newsletter nothing --url https://news.example/1 --title One", "newsletter"),
    ("article add --newsletter daily --url javascript:1 --title One", "http"),
    (
        "article add --newsletter daily --url https://news.example/1 --title One --published soon",
        "ISO 8601",
    ),
    ("article list --newsletter nothing", "newsletter"),
    ("schedule add nothing x --at 07:00 --zone UTC", "mailer newsletter list"),
    ("schedule add daily x --at 07:00 --zone CEST", "IANA"),
    ("schedule add daily x --at 25:00 --zone UTC", "HH:MM"),
    ("schedule add daily x --at 07:00 --days someday --zone UTC", "mon"),
    ("schedule add daily x --at 07:00 --monthday 32 --zone UTC", "31"),
    ("schedule add daily x --cron x --zone UTC", "cron"),
    ("schedule add daily x --zone UTC", "--at"),
    ("schedule add daily morning --at 07:00 --zone UTC", "mailer schedule edit"),
    ("schedule add daily a/b --at 07:00 --zone UTC", "name"),
    ("schedule show daily/nothing", "mailer schedule list"),
    ("schedule show daily", "SLUG/NAME"),
    ("schedule edit daily/nothing --at 08:00", "mailer schedule list"),
    ("schedule edit daily/morning --zone Mars/Base", "IANA"),
    ("schedule pause daily/nothing", "mailer schedule list"),
    ("schedule resume daily/nothing", "mailer schedule list"),
    ("schedule remove daily/nothing", "mailer schedule list"),
    ("schedule remove daily/morning --move-to daily/nothing", "mailer schedule list"),
    ("schedule next nothing", "mailer"),
    ("schedule next daily --from yesterday", "ISO 8601"),
    ("dkim new --domain news --selector s2026", "--domain"),
    ("dkim new --domain news.example --selector ../s", "--selector"),
    ("dkim new --domain news.example --selector a,b", "one name"),
    ("dkim new --domain news.example --selector s --file no/k.pem", "--file"),
    ("digest plan daily/nothing", "mailer schedule list"),
    ("digest plan daily/morning --slot 2026-11-24T06:59", "mailer schedule next"),
    ("digest plan daily/morning --slot soon", "slot"),
    ("digest plan daily/morning --as nobody@example.com", "subscribe"),
    ("digest preview nothing/nothing", "mailer"),
    ("digest test daily/morning --to nobody", "@-sign. Check how"),
    ("digest edit daily/nothing --subject x", "mailer schedule list"),
    ("digest edit daily/morning --lead 99", "mailer article list"),
    ("digest edit daily/morning --drop 99", "mailer article list"),
    ("digest edit daily/morning --subject ' '", "--subject"),
    ("digest edit daily/morning --intro no.md", "no.md"),
    ("digest edit daily/morning --intro readers.csv", ".md"),
    ("digest once daily --at '2020-01-01 06:00' --zone UTC", "--at"),
    ("digest once daily --at soon --zone UTC", "2026-12-24"),
    ("digest once daily --at '2040-01-01 06:00' --zone Mars/X", "IANA"),
    ("digest once daily --at '2040-01-01 06:00' --zone UTC --article 99", "mailer article list"),
    ("digest report 99", "mailer digest list"),
    ("schedule edit daily/morning --review 30m", "staff_address"),
    ("digest send daily/nothing", "mailer schedule list"),
    ("digest send daily/morning --slot 2026-11-24T06:59", "mailer schedule next"),
    ("digest list nothing", "mailer newsletter list"),
    ("digest show 99", "mailer digest list"),
    ("digest cancel 99", "mailer digest list"),
    ("delivery list --digest 99", "mailer digest list"),
    ("delivery list --to nobody", "@-sign. Check how"),
    ("subscriber add nobody --newsletter daily", "@-sign. Check how"),
    ("subscriber add a@b.example --newsletter nothing", "newsletter"),
    ("subscriber add a@b.example --newsletter daily --schedule daily/nothing", "schedule"),
    ("subscriber show nobody@example.com", "mailer subscriber list"),
    ("subscriber show nobody", "@-sign. Check how"),
    ("subscriber unsubscribe nobody@example.com", "mailer subscriber list"),
    ("subscriber import nothing.csv --newsletter daily --consent-source fair", "nothing.csv"),
    ("subscriber import readers.csv --newsletter daily --consent-source fair", "email"),
    ("subscriber import binary.csv --newsletter daily --consent-source fair", "UTF-8"),
    ("subscriber import readers.csv --newsletter nothing --consent-source fair", "newsletter"),
    ("consent show nobody", "@-sign. Check how"),
    ("suppression add nobody --reason asked", "@-sign. Check how"),
    ("suppression lift nobody@example.com", "mailer suppression list"),
    ("suppression add a@b.example --reason ' '", "--reason"),
    ("consent show a@b.example", "check how it is written"),
    ("subscriber list --newsletter nothing", "mailer newsletter list"),
    ("subscriber unsubscribe a@b.example --newsletter nothing", "mailer newsletter list"),
    ("subscriber import . --newsletter daily --consent-source x", "."),
    ("subscriber import readers.csv --newsletter daily --consent-source ' '", "--consent-source"),
    ("schedule add daily x --at 06:00", "--zone"),
    ("schedule add daily x --cron '0 0 30 2 *' --zone UTC", "no date fits"),
    ("schedule add daily x --at 06:00 --cron '* * * * *' --zone UTC", "leave out --at"),
    ("schedule add daily x --at 06:00 --zone UTC --max-age 1w", "30d"),
    ("schedule add daily x --at 06:00 --days mon --zone UTC --max-age 3d", "--max-age 7d or more"),
    ("schedule add daily x --at 06:00 --zone UTC --newcomers 5", "latest:N"),
    ("schedule edit daily/morning", "nothing to change"),
    ("digest plan daily", "SLUG/NAME"),
    ("digest plan daily/morning --as nobody", "@-sign"),
    ("digest test daily/morning", "--to"),
    ("digest show x", "integer"),
    ("digest pause 99", "mailer digest list"),
    ("digest resume 99", "mailer digest list"),
    ("delivery list --status lost", "skipped"),
    ("delivery resolve --digest 99 --drop", "mailer digest list"),
    ("delivery resolve --digest 1 --drop --resend", "--drop"),
    ("feed add http://169.254.169.254/ --newsletter daily --allow-private", "not on a network"),
    ("feed add http://2130706433/ --newsletter daily", "--allow-private"),
    ("feed add 'http://[::ffff:127.0.0.1]/' --newsletter daily", "--allow-private"),
    ("feed parse nowhere.xml", "cannot be opened"),
    ("feed parse .", "cannot be opened"),
]
"""What is typed, and what the refusal has to hold. What is never named here is not refused by a command."""


@pytest.mark.parametrize(("line", "told"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_wrong_argument_is_refused_and_changes_nothing(
    folder: Path, line: str, told: str
) -> None:
    before = content(folder / "mailer.db")
    assert_refused(type_command(folder, *shlex.split(line)), told, codes=(1, 2))
    assert content(folder / "mailer.db") == before


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"MAILER_PORT": "http"}, "65535"),
        ({"MAILER_PROT": "8000"}, "did you mean port?"),
        ({"MAILER_BASE_URL": "http://news.example"}, "https://"),
        ({"MAILER_CONFIG": "nothing.toml"}, "mailer init"),
        ({"MAILER_TEMPLATES": "nothing"}, "templates"),
        ({"MAILER_IDENTITY_KEY": "x" * 40}, "restore the key"),
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
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("arguments", [("status",), ("run",), ("newsletter", "list")], ids=" ".join)
@pytest.mark.parametrize(("version", "told"), [("0000", "mailer db upgrade"), ("9999", "newer")])
def test_an_older_or_newer_schema_is_refused(
    copy: Path, arguments: tuple[str, ...], version: str, told: str
) -> None:
    change(copy / "mailer.db", f"UPDATE alembic_version SET version_num = '{version}'")
    assert_refused(type_command(copy, *arguments), told)


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
