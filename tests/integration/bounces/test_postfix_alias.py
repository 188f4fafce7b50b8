"""`mailer bounce process` behind an alias of a real Postfix: nothing that comes back is lost on the way."""

import smtplib
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import BounceEvent, DeliveryStatus
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support import returned_mail
from tests.support.factories import NOW
from tests.support.postfix import postfix
from tests.support.processes import ROOT, environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.needs_running_postfix


def test_a_bounce_is_recorded_as_soon_as_the_database_can_be_reached(
    database: Database, keys: Keys, open_folder: Path
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        edition = make.edition(session, make.digest(session, schedule))
        reader = make.reader(session, keys, schedule, "anna@reader.example")
        row = make.delivery(
            session, edition, reader, status=DeliveryStatus.SENT, first_attempt_at=NOW
        )
        reference = keys.reference("delivery", row.id, row.created_at)
    sender = f"bounce+{reference}@news.example"
    original = f"To: anna@reader.example\r\nMessage-ID: <{reference}@news.example>\r\n\r\n".encode()
    good = environment(database, keys, 25, {})
    broken = good | {"MAILER_DATABASE_URL": f"sqlite:///{open_folder}/missing.db"}
    environments = iter([broken])
    said: list[str] = []

    def process(raw: bytes) -> int:
        ended = subprocess.run(
            [sys.executable, "-m", "mailer", "bounce", "process"],
            cwd=open_folder,
            env=next(environments, good) | {"PYTHONPATH": str(ROOT)},
            input=raw,
            capture_output=True,
            check=False,
        )
        said.append(ended.stderr.decode())
        return ended.returncode

    with postfix(open_folder, "bounce", process) as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("", [sender], returned_mail.bounce(original, sender))
        wait_until(lambda: len(server.statuses) == 2 or server.statuses[:1] not in ([], [75]))
    assert server.statuses == [75, 0], said
    with database.read() as session:
        event = session.scalars(select(BounceEvent)).one()
    assert (event.kind, event.delivery_id, event.source) == ("hard", row.id, "pipe")
