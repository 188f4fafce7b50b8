"""Settings: where each comes from, what is refused, and that no secret shows."""

import json
import re
import stat
from contextlib import nullcontext
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from mailer.address import Address
from mailer.errors import Refused, SettingsError
from mailer.rate import Rate
from mailer.settings import Settings, config_path, file_permissions, load, local_links
from mailer.settings.mailbox_url import ImapUrl, MaildirPath
from mailer.settings.parsers import Secret

DESK = Address("Desk@news.example", "desk@news.example")
CHIEF = Address("chief@news.example", "chief@news.example")
KEYS = {"MAILER_SECRET_KEY": "s" * 40, "MAILER_IDENTITY_KEY": "i" * 40}


def one(name: str, value: str) -> object:
    return getattr(load(KEYS | {f"MAILER_{name.upper()}": value}, None), name)


def file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "mailer.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("database_url", "postgresql://u:p@h/n", Secret("postgresql://u:p@h/n")),
        ("base_url", "https://mail.news.example/", "https://mail.news.example"),
        ("base_url", "http://localhost:8000", "http://localhost:8000"),
        ("secret_key", "a" * 32 + "," + "b" * 32, (Secret("a" * 32), Secret("b" * 32))),
        ("ehlo_name", "mail.news.example", "mail.news.example"),
        ("ehlo_name", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("smtp_connections", "3", 3),
        ("smtp_messages_per_connection", "1", 1),
        ("smtp_rate", "100/s", Rate(100, timedelta(seconds=1))),
        ("smtp_rate", "5000/h", Rate(5000, timedelta(hours=1))),
        ("smtp_rate", "1/24h", Rate(1, timedelta(hours=24))),
        ("smtp_rate", "", None),
        ("stop_at_complaints", "0.25%", 0.0025),
        ("stop_at_hard_bounces", "100%", 1.0),
        ("smtp_retry", "5s, 10s", (timedelta(seconds=5), timedelta(seconds=10))),
        ("give_up_after", "2d", timedelta(days=2)),
        ("on_unknown", "hold", "hold"),
        ("lease", "2s", timedelta(seconds=2)),
        ("dkim_key", "", ()),
        ("dkim_selector", "", ()),
        ("relay_signs_dkim", "true", True),
        ("host", "0.0.0.0", "0.0.0.0"),
        ("port", "1", 1),
        ("trusted_proxies", "10.0.0.0/8,::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
        ("embed_origins", "https://www.news.example", ("https://www.news.example",)),
        ("next_urls", "https://www.news.example/thanks?a=1", ("https://www.news.example/thanks?a=1",)),
        ("signup_expiry", "3d", timedelta(days=3)),
        ("staff_address", " Desk@news.example", (DESK,)),
        ("staff_address", "Desk@news.example, chief@news.example", (DESK, CHIEF)),
        ("staff_address", "Desk@news.example,chief@news.example,desk@NEWS.example", (DESK, CHIEF)),
        ("staff_address", ",".join(["Desk@news.example"] * 11), (DESK,)),
        ("staff_address", "", ()),
        ("publisher", "Sampletown News", "Sampletown News"),
        ("publisher", "", None),
        ("privacy_url", "https://www.news.example/a#privacy", "https://www.news.example/a#privacy"),
        ("consent_retention", "365d", timedelta(days=365)),
        ("ledger_retention", "", None),
        ("ledger_retention", "60d", timedelta(days=60)),
        ("feed_interval", "5m", timedelta(minutes=5)),
        ("metrics_token", "k7Jx.-_~+/v==", Secret("k7Jx.-_~+/v==")),
        ("metrics_token", "", None),
        (
            "bounce_address",
            " Bounces.of.News@Новости.example",
            Address("Bounces.of.News@новости.example", "bounces.of.news@xn--b1amnebsh.example"),
        ),
        ("bounce_address", "", None),
        ("bounce_separator", "-", "-"),
        (
            "extra_headers",
            "X-PM-Message-Stream=broadcast, X-SES-MESSAGE-TAGS = kind=digest,",
            (("X-PM-Message-Stream", "broadcast"), ("X-SES-MESSAGE-TAGS", "kind=digest")),
        ),
        ("extra_headers", "", ()),
        ("extra_headers_notice", "X-Note=two words", (("X-Note", "two words"),)),
        (
            "webhook_keys",
            "ses=arn:aws:sns:eu-central-1:123456789012:bounces, mailgun=0123abcd-x=, postmark,brevo",
            {
                "ses": Secret("arn:aws:sns:eu-central-1:123456789012:bounces"),
                "mailgun": Secret("0123abcd-x="),
                "postmark": None,
                "brevo": None,
            },
        ),
        ("webhook_keys", "", {}),
        ("templates", "/srv/templates", Path("/srv/templates")),
        ("backup_folder", "/srv/backups", Path("/srv/backups")),
        ("log_level", "debug", "debug"),
        ("log_format", "json", "json"),
    ],
)  # fmt: skip
def test_a_good_value_is_taken(name: str, text: str, value: object) -> None:
    assert one(name, text) == value


BAD = {
    "database_url": ["", "mysql://h/n", "sqlite://mailer.db", "postgresql://u:p@ss@h/n"],
    "base_url": [
        *("http://news.example", "https://news.example/?a=1", "https://news.example/#a"),
        *("https://news.example:99999", "ftp://news.example", "news.example"),
    ],
    "secret_key": ["short", "a" * 32 + ",short"],
    "identity_key": ["a" * 32 + "," + "b" * 32],
    "smtp_url": [
        *("http://relay.example", "smtp://", "smtp://relay.example:smtp"),
        *("smtp://user@relay.example", "smtp://relay.example/path"),
        *("smtp://relay.example?tls=maybe", "smtps://relay.example?tls=none"),
    ],
    "bounce_fetch_url": [
        *("pop3s://u:p@mail.example/INBOX", "maildir:bounces", "http://u:p@mail.example"),
        *("imaps://mail.example/INBOX", "imaps://u:p@mail.example?tls=none"),
        *("imaps://u:p@mail.example:0x/INBOX", "imaps://u:p@mail.example/IN%0ABOX"),
        "imap://u@mail.example",
    ],
    "ehlo_name": ["-x.example", "two words"],
    "smtp_connections": ["0", "many", "1_0"],
    "smtp_messages_per_connection": ["-1"],
    "smtp_timeouts": ["spot=3s", "dot=3"],
    "smtp_rate": ["0/s", "100", "0.5/s", "100/w"],
    "stop_at_complaints": ["0%", "0.3", "-1%", "0.00001%", "100.1%", "1e1%", ".5%", "a%"],
    "stop_at_hard_bounces": ["", "5 %", "5%,6%", "1000%"],
    "smtp_retry": ["", "5m,soon"],
    "give_up_after": ["0s", "999999999d"],
    "on_unknown": ["maybe"],
    "staff_address": [
        *("desk", "desk@news.example, chief", "desk@news.example chief@news.example"),
        ",".join(f"desk{number}@news.example" for number in range(11)),
    ],
    "lease": ["1s"],
    "dkim_selector": ["two words", "-a", "a..b", "news,News"],
    "dkim_domain": ["news", "news.example.", "two words.example", "a@news.example"],
    "relay_signs_dkim": ["yes"],
    "host": [""],
    "port": ["0", "65536"],
    "trusted_proxies": ["proxy.example", "10.0.0.1/8"],
    "embed_origins": [
        *("https://www.news.example/path", "https://www.news.example#a"),
        *("https://www.news.example;", "*"),
    ],
    "next_urls": ["javascript:alert(1)", "https://user@www.news.example/"],
    "signup_limits": ["address=3", "planet=3/h", "address=0/h"],
    "signup_expiry": ["1w"],
    "publisher": ["two\nlines"],
    "privacy_url": ["privacy"],
    "consent_retention": ["forever"],
    "ledger_retention": ["59d", "never"],
    "feed_interval": ["1s"],
    "metrics_token": ["two words"],
    "bounce_address": [
        "bounce",
        "отказы@news.example",
        f"{'b' * 16}@news.example",
        f"b@{'dd.' * 61}example",
    ],
    "bounce_separator": ["", "++", "=", "."],
    "extra_headers": [
        *(
            "X-Note",
            "X-Note=",
            "=value",
            "X Note=value",
            "X-Note=é",
            "X-Note=two\nlines",
            "X:Y=value",
        ),
        *("From=a@news.example", "bcc=a@news.example", "list-unsubscribe=<https://news.example>"),
        *(
            "Content-Type=text/plain",
            "X-Mailer-Delivery=7",
            "DKIM-Signature=v=1",
            "Precedence=list",
        ),
        *("X-PM-Metadata-Reference=d1", "X-Note=a,x-note=b", f"X-Note={'a' * 991}"),
    ],
    "extra_headers_notice": ["Subject=News", "Resent-From=a@news.example"],
    "webhook_keys": [
        *("sendgrid", "ses", "mailgun", "mailgun=", "postmark=token", "brevo="),
        *(
            "ses=bounces",
            "ses=arn:aws:sns:s3:123456789012:bounces",
            "ses=arn:aws:sqs:eu-west-1:1:b",
        ),
        *("mailgun=two words", "postmark,brevo,postmark"),
    ],
    "log_level": ["loud"],
    "log_format": ["xml"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts]
)
def test_a_bad_value_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"\b{name} must .*MAILER_{name.upper()}"):
        one(name, text)


def test_the_header_that_cannot_be_added_is_named() -> None:
    with pytest.raises(SettingsError, match=r"but the header Bcc is written by .*; remove it"):
        one("extra_headers", "X-Note=a,Bcc=b@news.example,X-Mailgun-Tag=digest")


def test_every_setting_is_tried_above() -> None:
    (mark,) = test_a_good_value_is_taken.pytestmark
    good, bad = {case[0] for case in mark.args[1]}, set(BAD)
    rest = {"bounce_fetch_url", "identity_key", "smtp_url", "smtp_timeouts", "signup_limits"}
    rest |= {"dkim_domain"}
    names = set(load(KEYS, None).shown)
    assert good | rest == names
    assert bad == names - {"backup_folder", "dkim_key", "templates"}


DKIM = {
    "MAILER_DKIM_KEY": "/srv/rsa.pem, ed.pem",
    "MAILER_DKIM_SELECTOR": "news2026,Ed.2026",
    "MAILER_DKIM_DOMAIN": "Courier.example",
}


def test_the_settings_of_dkim_are_taken_together() -> None:
    settings = load(KEYS | DKIM, None)
    assert settings.dkim_key == (Path("/srv/rsa.pem"), Path("ed.pem"))
    assert settings.dkim_selector == ("news2026", "Ed.2026")
    assert settings.dkim_domain == "courier.example"
    other_letters = load(KEYS | DKIM | {"MAILER_DKIM_DOMAIN": "թերթ.example"}, None)
    assert other_letters.dkim_domain == f"{'թերթ'.encode('idna').decode()}.example"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"KEY": ""}, "dkim_key must be set as well as dkim_selector and dkim_domain"),
        ({"SELECTOR": "", "DOMAIN": ""}, "dkim_selector and dkim_domain must be set as well as"),
        ({"SELECTOR": "news2026"}, "one selector for each file of dkim_key: 2, not 1"),
        ({"KEY": "rsa.pem", "DOMAIN": ""}, "dkim_domain must be set as well as"),
    ],
)
def test_the_settings_of_dkim_fit_together_or_are_refused(
    changes: dict[str, str], reason: str
) -> None:
    given = DKIM | {f"MAILER_DKIM_{name}": text for name, text in changes.items()}
    with pytest.raises(SettingsError, match=reason):
        load(KEYS | given, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RELAY_SIGNS_DKIM", "true"),
        ("WEBHOOK_KEYS", "postmark"),
        ("WEBHOOK_KEYS", "brevo, mailgun=0123abcd"),
        ("WEBHOOK_KEYS", "ses=arn:aws:sns:eu-central-1:123456789012:bounces"),
    ],
)
def test_a_mail_is_not_signed_before_a_relay_that_signs_or_changes_it(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match="relay_signs_dkim"):
        load(KEYS | DKIM | {f"MAILER_{name}": text}, None)
    assert load(KEYS | {f"MAILER_{name}": text}, None)


def test_mailgun_may_take_mails_that_are_signed() -> None:
    assert load(KEYS | DKIM | {"MAILER_WEBHOOK_KEYS": "mailgun=0123abcd"}, None).dkim_key


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "user"),
    [
        ("smtp://127.0.0.1:25", "127.0.0.1", 25, "none", None),
        ("smtp://localhost", "localhost", 25, "none", None),
        ("smtp://[::1]:2525", "::1", 2525, "none", None),
        ("smtp://127.0.0.1:25?tls=starttls", "127.0.0.1", 25, "starttls", None),
        ("smtp://relay.example:587", "relay.example", 587, "starttls", None),
        ("smtp://me:it%40x@relay.example:587", "relay.example", 587, "starttls", "me"),
        ("smtp://relay.example:25?tls=none", "relay.example", 25, "none", None),
        ("smtps://me:it%40x@relay.example", "relay.example", 465, "implicit", "me"),
    ],
)
def test_the_relay_is_taken_apart(
    url: str, host: str, port: int, tls: str, user: str | None
) -> None:
    relay = load(KEYS | {"MAILER_SMTP_URL": url}, None).smtp_url
    assert (relay.host, relay.port, relay.tls, relay.user) == (host, port, tls, user)
    assert (relay.password.reveal() if relay.password else None) == (user and "it@x")


@pytest.mark.parametrize(
    ("url", "port", "implicit_tls", "starttls", "folder"),
    [
        ("imaps://me:it%40x@mail.example", 993, True, False, "INBOX"),
        ("imaps://me:it%40x@mail.example:1993/Returned%20mail", 1993, True, False, "Returned mail"),
        ("imap://me:it%40x@mail.example/INBOX", 143, False, True, "INBOX"),
        ("imap://me:it%40x@mail.example/INBOX?tls=none", 143, False, False, "INBOX"),
        ("imap://me:it%40x@127.0.0.1/", 143, False, False, "INBOX"),
    ],
)
def test_an_imap_folder_is_taken_apart(
    url: str, port: int, implicit_tls: bool, starttls: bool, folder: str
) -> None:
    mailbox = load(KEYS | {"MAILER_BOUNCE_FETCH_URL": url}, None).bounce_fetch_url
    assert isinstance(mailbox, ImapUrl)
    assert (mailbox.port, mailbox.implicit_tls, mailbox.starttls) == (port, implicit_tls, starttls)
    assert (mailbox.user, mailbox.password.reveal(), mailbox.folder) == ("me", "it@x", folder)
    assert "it@x" not in repr(mailbox)


def test_a_maildir_is_a_path() -> None:
    settings = load(KEYS | {"MAILER_BOUNCE_FETCH_URL": "maildir:/srv/bounces"}, None)
    assert settings.bounce_fetch_url == MaildirPath(Path("/srv/bounces"))


def test_the_password_of_the_mailbox_is_masked() -> None:
    settings = load(KEYS | {"MAILER_BOUNCE_FETCH_URL": "imaps://me:hidden@mail.example"}, None)
    assert settings.shown["bounce_fetch_url"] == "imaps://me:***@mail.example"


@pytest.mark.parametrize(
    ("base_url", "smtp_url", "is_refused"),
    [
        ("http://127.0.0.1:8000", "smtp://relay.example", True),
        ("https://localhost/letters", "smtps://relay.example", True),
        ("http://[::1]:8000", "smtp://192.0.2.1?tls=none", True),
        ("http://127.0.0.1:8000", "smtp://127.0.0.9:2525", False),
        ("http://127.0.0.1:8000", "smtp://localhost", False),
        ("http://127.0.0.1:8000", "smtp://[::1]", False),
        ("https://news.example", "smtp://relay.example", False),
        ("https://news.example", "smtp://127.0.0.1", False),
    ],
)
def test_links_to_this_machine_go_to_no_other(
    base_url: str, smtp_url: str, is_refused: bool
) -> None:
    settings = load(KEYS | {"MAILER_BASE_URL": base_url, "MAILER_SMTP_URL": smtp_url}, None)
    expected = pytest.raises(Refused, match="set `base_url`") if is_refused else nullcontext()
    with expected:
        local_links.check(settings.base_url, settings.smtp_url)


@pytest.mark.parametrize(
    ("address", "separator", "fits"),
    [
        ("bounce@news.example", "+", True),
        ("news-bounce@news.example", "+", True),
        ("news-bounce@news.example", "-", False),
        ("news_bounce@news-desk.example", "-", True),
        ("a+b@news.example", "+", False),
    ],
)
def test_the_separator_is_the_first_in_an_address(address: str, separator: str, fits: bool) -> None:
    chosen = {"MAILER_BOUNCE_ADDRESS": address, "MAILER_BOUNCE_SEPARATOR": separator}
    message = re.escape(f"bounce_separator {separator} must not occur in bounce_address")
    with nullcontext() if fits else pytest.raises(SettingsError, match=message):
        load(KEYS | chosen, None)


def test_timeouts_and_limits_keep_what_is_not_named() -> None:
    settings = load(
        KEYS | {"MAILER_SMTP_TIMEOUTS": "dot=5s", "MAILER_SIGNUP_LIMITS": "total=9/m"}, None
    )
    assert settings.smtp_timeouts["dot"] == timedelta(seconds=5)
    assert settings.smtp_timeouts["mail"] == timedelta(minutes=5)
    assert settings.signup_limits.total == Rate(9, timedelta(minutes=1))
    assert settings.signup_limits.address == Rate(3, timedelta(hours=24))


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    path = file(tmp_path, 'port = 8001\nhost = "::1"\nrelay_signs_dkim = true\n'
                'trusted_proxies = ["10.0.0.1", "10.0.0.2"]\n')  # fmt: skip
    settings = load(KEYS | {"MAILER_PORT": "8002"}, path)
    assert (settings.port, settings.host, settings.lease) == (8002, "::1", timedelta(minutes=1))
    assert settings.relay_signs_dkim
    assert len(settings.trusted_proxies) == 2
    assert [settings.origins[name] for name in ("port", "host", "lease")] == [
        "MAILER_PORT", str(path), "default",
    ]  # fmt: skip


def test_all_that_is_wrong_is_told_at_once_in_one_line(tmp_path: Path) -> None:
    path = file(tmp_path, 'smtp_ulr = "x"\nport = "abc"\nhost = 1.5\n')
    with pytest.raises(SettingsError) as caught:
        load({"MAILER_LEASE": "1s", "MAILER_PROT": "1"}, path)
    text = str(caught.value)
    for part in ("did you mean smtp_url?", "port must be a whole number from 1 to 65535",
                 "'abc'", "lease must be at least 2s", "did you mean port?", "secret_key is missing",
                 "identity_key is missing", "host in"):  # fmt: skip
        assert part in text
    assert "\n" not in text


def test_what_does_not_fit_together_is_told_beside_what_is_not_valid() -> None:
    with pytest.raises(SettingsError) as raised:
        load(
            KEYS
            | {
                "MAILER_PORT": "many",
                "MAILER_DKIM_KEY": "rsa.pem",
                "MAILER_BOUNCE_ADDRESS": "bounce+news@news.example",
            },
            None,
        )
    for problem in (
        "port must be",
        "dkim_selector and dkim_domain must be set",
        "bounce_separator + must",
    ):
        assert problem in str(raised.value)


def test_what_is_not_valid_is_not_compared() -> None:
    with pytest.raises(SettingsError) as raised:
        load(KEYS | DKIM | {"MAILER_DKIM_DOMAIN": "courier", "MAILER_BOUNCE_ADDRESS": "b+c"}, None)
    assert "must be set as well" not in str(raised.value)
    assert "bounce_separator" not in str(raised.value)


def test_other_variables_of_ours_are_known() -> None:
    load(KEYS | {"MAILER_CONFIG": "x", "MAILER_FAILPOINT": "y", "MAILERS": "z"}, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("secret_key", "hunter2"),
        ("identity_key", "hunter2"),
        ("metrics_token", "hunter2 hunter2"),
        ("database_url", "mysql://me:hunter2@h/n"),
        ("smtp_url", "smtp://me:hunter2/x@y@relay.example"),
        ("smtp_url", "https://hunter2@relay.example"),
        ("smtp_url", "smtp:me:hunter2@relay.example"),
        ("smtp_url", "smtp://me:hunter2"),
        ("smtp_url", "me:hunter2@relay.example"),
        ("database_url", "host=h user=me password=hunter2"),
        ("database_url", "postgresql://me:hunter2/n"),
        ("database_url", "postgres://h/n?sslpassword=hunter2"),
        ("base_url", "https://me:hunter2@news.example"),
        ("webhook_keys", "mailgun:hunter2"),
        ("webhook_keys", "hunter2"),
        ("webhook_keys", "mailgun=hunter2"),
        ("webhook_keys", "postmark=hunter2"),
    ],
)
def test_no_refusal_repeats_a_secret(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        one(name, text)
    assert "hunter2" not in str(caught.value)


def test_nothing_that_is_printed_shows_a_secret() -> None:
    settings = load(
        {
            "MAILER_SECRET_KEY": "hunter2" * 10,
            "MAILER_IDENTITY_KEY": "hunter2" * 11,
            "MAILER_METRICS_TOKEN": "hunter2",
            "MAILER_DATABASE_URL": "postgresql://me:hunter2@h/n?password=hunter2&SSLPassword=hunter2",
            "MAILER_SMTP_URL": "smtp://me:hunter2@relay.example",
            "MAILER_WEBHOOK_KEYS": "mailgun=hunter2=hunter2, postmark",
        },
        None,
    )
    assert "hunter2" not in repr(settings) + str(settings) + json.dumps(settings.shown)
    assert settings.shown["smtp_url"] == "smtp://me:***@relay.example"
    assert settings.shown["webhook_keys"] == "mailgun=***,postmark"
    assert settings.database_url.reveal().endswith("hunter2")
    with pytest.raises(TypeError):
        json.dumps(settings.identity_key)


@pytest.mark.parametrize("name", ["secret_key", "database_url", "metrics_token", "webhook_keys"])
def test_a_file_with_keys_that_everybody_may_read_is_refused(tmp_path: Path, name: str) -> None:
    path = file(tmp_path, f'{name} = "{"k" * 40}"\n', 0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load(KEYS, path)


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o622, 0o664])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match=r"chmod go-w .*mailer\.toml"):
        load(KEYS, file(tmp_path, "port = 8001\n", mode))
    # Without keys, all may read it.
    assert load(KEYS, file(tmp_path, "port = 8001\n", 0o644)).port == 8001


@pytest.mark.parametrize(
    ("owner", "us", "is_refused"),
    [(1000, 1000, False), (0, 1000, False), (0, 0, False), (1001, 1000, True), (1000, 0, True)],
)
def test_a_file_is_ours_or_roots(owner: int, us: int, is_refused: bool) -> None:
    mode = stat.S_IFREG | 0o600
    fault = file_permissions.problem(Path("a b.toml"), mode, owner, us, holds_keys=True)
    assert (fault is not None) is is_refused
    assert not fault or f"chown {us} 'a b.toml'" in fault


@pytest.mark.parametrize("text", ["port 1", "port = ", "\udcff"])
def test_a_broken_file_is_told_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mailer.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError, match=r"mailer\.toml is not valid TOML"):
        load(KEYS, path)


def test_a_setting_that_stands_twice_in_the_file_is_named_so(tmp_path: Path) -> None:
    path = tmp_path / "mailer.toml"
    path.write_text("port = 8001\nport = 8002\n")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"a setting stands there twice \(at line 2"):
        load({}, path)


def test_a_missing_file_names_init(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="mailer init"):
        load(KEYS, tmp_path / "nothing.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(KEYS, tmp_path)


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_path({}) is None
    file(tmp_path, "")
    assert config_path({}) == Path("mailer.toml")
    assert config_path({"MAILER_CONFIG": "/etc/mailer.toml"}) == Path("/etc/mailer.toml")


def test_settings_are_frozen() -> None:
    settings: Settings = load(KEYS, None)
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]
