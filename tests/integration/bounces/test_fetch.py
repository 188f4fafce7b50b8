"""Fetching returned mail: from a real Dovecot and from a Maildir, and what is left there."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import func, select

from mailer.app import App
from mailer.bounces.intake.fetch import MailboxContext, fetch
from mailer.bounces.intake.imap import opened_folder
from mailer.bounces.intake.mailbox import BATCH, OpenMailbox
from mailer.bounces.intake.maildir import Maildir
from mailer.bounces.intake.take_in import TakenIn
from mailer.db import Database
from mailer.errors import MailboxUnavailable
from mailer.models import (
    BounceEvent,
    Delivery,
    DeliveryStatus,
    MailboxFetch,
    Notice,
    NoticeKind,
    Subscription,
    Suppression,
)
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import returned_mail
from tests.support.bounces import reference, report, sent_digest
from tests.support.dovecot import PASSWORD, USER, dovecot
from tests.support.factories import NOW
from tests.support.sending import alerts


@dataclass
class Sent:
    """A mail that was sent: its bytes, and the address that it comes back to."""

    raw: bytes
    to: str
    subscription_id: int

    @property
    def leaving(self) -> str:
        return self.to.replace("bounce+", "bounce+u.")


@pytest.fixture
def sent(database: Database, keys: Keys) -> list[Sent]:
    """Mails of one digest to 30 readers."""
    mails = []
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter)
        edition = make.edition(session, make.digest(session, schedule))
        for number in range(30):
            subscription = make.reader(session, keys, schedule, f"reader{number}@reader.example")
            row = make.delivery(
                session, edition, subscription, status=DeliveryStatus.SENT, first_attempt_at=NOW
            )
            reference = keys.reference("delivery", row.id, row.created_at)
            head = [
                f"Message-ID: <{reference}@news.example>",
                f"To: reader{number}@reader.example",
                "Subject: The news",
            ]
            raw = "\r\n".join([*head, "", "The news.", ""]).encode()
            mails.append(Sent(raw, f"bounce+{reference}@news.example", subscription.id))
    return mails


@pytest.fixture
def maildir(fast_folder: Path) -> Path:
    folder = fast_folder / "Maildir"
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    return folder


def put(folder: Path, *mails: bytes) -> None:
    taken = len(list(folder.glob("*/*")))
    for number, raw in enumerate(mails, start=taken):
        (folder / "new" / f"{number:04}.host").write_bytes(raw)


@contextmanager
def opened(folder: Path) -> Iterator[OpenMailbox]:
    yield Maildir(folder)


def context(
    database: Database, keys: Keys, folder: Path, wall: datetime = NOW + timedelta(hours=2)
) -> MailboxContext:
    return MailboxContext(
        database,
        keys,
        alerts(keys),
        open=partial(opened, folder),
        name=f"maildir:{folder}",
        source="maildir",
        wall=lambda: wall,
    )


def never() -> bool:
    return False


def events(database: Database) -> list[str]:
    with database.read() as session:
        rows = session.scalars(select(BounceEvent.kind).order_by(BounceEvent.id))
        return [str(kind) for kind in rows]


def test_what_is_recorded_goes_and_the_rest_stays(
    database: Database, keys: Keys, sent: list[Sent], maildir: Path
) -> None:
    forged = sent[4].to.replace("bounce+d", "bounce+d9")
    put(
        maildir,
        returned_mail.bounce(sent[0].raw, sent[0].to),
        returned_mail.plain_bounce(sent[1].raw, sent[1].to),
        returned_mail.complaint(sent[2].raw, sent[2].to),
        returned_mail.unsubscribe("reader3@reader.example", sent[3].leaving),
        returned_mail.bounce(b"To: reader4@reader.example\r\n\r\n", forged),
        returned_mail.out_of_office(sent[5].raw, sent[5].to),
        returned_mail.delayed(sent[6].raw, sent[6].to),
    )
    counts = fetch(context(database, keys, maildir), is_stopping=never)
    assert counts == {TakenIn.RECORDED: 4, TakenIn.NOT_OURS: 1, TakenIn.NOTHING: 2}
    assert events(database) == ["hard", "hard", "complaint", "unsubscribe"]
    assert len(list(maildir.glob("new/*"))) == 0
    assert len(list(maildir.glob("cur/*:2,S"))) == 3
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Suppression)) == 3
        left = session.scalars(select(Subscription.id).where(Subscription.left_at.is_not(None)))
        assert sent[3].subscription_id in set(left)
    assert not fetch(context(database, keys, maildir), is_stopping=never)


def test_the_same_mail_twice_counts_once(
    database: Database, keys: Keys, sent: list[Sent], maildir: Path
) -> None:
    raw = returned_mail.bounce(sent[0].raw, sent[0].to)
    put(maildir, raw, raw)
    counts = fetch(context(database, keys, maildir), is_stopping=never)
    assert counts == {TakenIn.RECORDED: 1, TakenIn.REPEATED: 1}
    assert list(maildir.glob("*/*")) == []


def test_two_that_fetch_and_two_that_are_told_never_wait_for_each_other(
    database: Database, keys: Keys, maildir: Path
) -> None:
    """Each records what came back of three digests to the same readers, in its own order."""
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        make.readers(session, keys, schedule, 60)
        at = [NOW + timedelta(minutes=minutes) for minutes in range(3)]
        mails = [mail for one in at for mail in sent_digest(session, schedule, at=one).mails]
    for number, mail in enumerate(mails):
        name = reference(keys, mail)
        raw = f"Message-ID: <{name}@news.example>\r\nTo: x@reader.example\r\n\r\n".encode()
        leaving = returned_mail.unsubscribe("x@reader.example", f"bounce+u.{name}@news.example")
        bounced = returned_mail.bounce(raw, f"bounce+{name}@news.example")
        # In the order of their names: across all digests and readers.
        (maildir / "new" / f"{number * 71 % 181:04}.host").write_bytes(
            bounced if number % 2 else leaving
        )
    together = Barrier(4)

    def fetched() -> int:
        together.wait(timeout=30)
        return fetch(context(database, keys, maildir), is_stopping=never)[TakenIn.RECORDED]

    def told(mails: Sequence[Delivery]) -> int:
        together.wait(timeout=30)
        recorded = 0
        for mail in mails:
            with database.write() as session:
                recorded += report(session, keys, [mail], now=NOW + timedelta(hours=2)).recorded
        return recorded

    with ThreadPoolExecutor(4) as pool:
        parts = [pool.submit(fetched), pool.submit(fetched)]
        parts += [pool.submit(told, some) for some in (mails[::-1], mails[60:] + mails[:60])]
        assert sum(part.result() for part in parts) == len(mails) + len(mails) // 2
    assert list(maildir.glob("*/*")) == []


def test_a_mail_goes_only_after_it_is_recorded(
    database: Database, keys: Keys, sent: list[Sent], maildir: Path
) -> None:
    class Full(Exception):
        pass

    def fails() -> datetime:
        raise Full

    put(maildir, returned_mail.bounce(sent[0].raw, sent[0].to))
    broken = MailboxContext(
        **{**vars(context(database, keys, maildir)), "wall": fails}  # type: ignore[arg-type]
    )
    with pytest.raises(Full):
        fetch(broken, is_stopping=never)
    assert len(list(maildir.glob("new/*"))) == 1
    assert fetch(context(database, keys, maildir), is_stopping=never) == {TakenIn.RECORDED: 1}


def test_a_stop_keeps_what_was_taken_in(
    database: Database, keys: Keys, sent: list[Sent], maildir: Path
) -> None:
    put(maildir, *(returned_mail.bounce(mail.raw, mail.to) for mail in sent))
    stops = iter([False, True])
    counts = fetch(context(database, keys, maildir), is_stopping=lambda: next(stops))
    assert counts.total() == BATCH
    assert fetch(context(database, keys, maildir), is_stopping=never).total() == len(sent) - BATCH


def test_staff_are_told_once_when_it_fails_for_a_day(
    database: Database, keys: Keys, sent: list[Sent], tmp_path: Path
) -> None:
    del sent

    def failing_at(hours: int) -> int:
        wall = NOW + timedelta(hours=hours)
        with pytest.raises(MailboxUnavailable):
            fetch(context(database, keys, tmp_path, wall), is_stopping=never)
        with database.read() as session:
            alert = select(func.count()).where(Notice.kind == NoticeKind.ALERT)
            return session.scalar(alert) or 0

    assert [failing_at(hours) for hours in (0, 23, 24, 25)] == [0, 0, 1, 1]
    for name in ("new", "cur"):
        (tmp_path / name).mkdir()
    fetch(context(database, keys, tmp_path, NOW + timedelta(hours=26)), is_stopping=never)
    with database.read() as session:
        row = session.scalars(select(MailboxFetch)).one()
    assert (row.failing_since, row.error) == (None, None)
    assert row.fetched_at == NOW + timedelta(hours=26)


@pytest.mark.needs_dovecot
@pytest.mark.parametrize("implicit", [True, False])
def test_a_real_imap_server(
    database: Database,
    keys: Keys,
    sent: list[Sent],
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    implicit: bool,
) -> None:
    with dovecot(open_folder) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        put(
            server.maildir,
            *(returned_mail.bounce(mail.raw, mail.to) for mail in sent[:25]),
            returned_mail.out_of_office(sent[25].raw, sent[25].to),
        )
        folder = partial(
            opened_folder,
            "localhost",
            server.tls_port if implicit else server.port,
            implicit_tls=implicit,
            starttls=not implicit,
            user=USER,
            password=PASSWORD,
            folder="INBOX",
        )
        reading = MailboxContext(
            **{**vars(context(database, keys, open_folder)), "open": folder, "source": "imap"}
        )
        counts = fetch(reading, is_stopping=never)
        assert counts == {TakenIn.RECORDED: 25, TakenIn.NOTHING: 1}
        assert not fetch(reading, is_stopping=never)
        left = [path.name for path in server.maildir.glob("*/*") if ".host" in path.name]
        assert len(left) == 1
        assert left[0].endswith("S")


@pytest.mark.needs_dovecot
def test_a_mailbox_that_refuses_us_says_what_to_correct(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dovecot(open_folder) as server:

        def refused(user: str, password: str, folder: str) -> str:
            with (
                pytest.raises(MailboxUnavailable) as caught,
                opened_folder(
                    "localhost",
                    server.tls_port,
                    implicit_tls=True,
                    starttls=False,
                    user=user,
                    password=password,
                    folder=folder,
                ),
            ):
                pass
            return str(caught.value)

        assert "check its certificate" in refused(USER, PASSWORD, "INBOX")
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        assert "wrong user or password" in refused(USER, "nonsense", "INBOX")
        assert "check bounce_fetch_url" in refused(USER, PASSWORD, "Nowhere")


def test_a_server_that_is_not_there_is_named(free_port: int) -> None:
    with (
        pytest.raises(MailboxUnavailable, match=f"127.0.0.1:{free_port} cannot be reached"),
        opened_folder(
            "127.0.0.1",
            free_port,
            implicit_tls=False,
            starttls=False,
            user="u",
            password="p",
            folder="INBOX",
        ),
    ):
        pass


def test_the_settings_name_the_mailbox(database: Database, keys: Keys, maildir: Path) -> None:
    from mailer.clock import Times
    from mailer.settings import load

    environment = {
        "MAILER_SECRET_KEY": "s" * 40,
        "MAILER_IDENTITY_KEY": "i" * 40,
        "MAILER_DATABASE_URL": database.url.render_as_string(hide_password=False),
    }
    without = App(load(environment, None), database, keys, Times())
    assert without.mailbox_context is None
    named = load(environment | {"MAILER_BOUNCE_FETCH_URL": f"maildir:{maildir}"}, None)
    made = App(named, database, keys, Times()).mailbox_context
    assert made is not None
    assert (made.source, made.name) == ("maildir", f"maildir:{maildir}")
    with made.open() as mailbox:
        assert list(mailbox.batches()) == []
