"""What readers and staff do while a digest is on its way: with the real commands and over HTTP."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from mailer.db import Database
from mailer.models import Subscriber, Subscription
from mailer.tokens import Keys, Purpose
from tests.support.processes import ROOT, environment
from tests.support.website import Website


def command(
    database: Database, keys: Keys, folder: Path, *words: str, status: int = 0, **settings: str
) -> str:
    """Types `mailer …` in this folder, checks its exit status, and returns what it says, or its refusal."""
    ended = subprocess.run(
        [sys.executable, "-m", "mailer", *words],
        cwd=folder,
        env=environment(database, keys, 25, settings) | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status, f"{words}: {ended.stdout}{ended.stderr}"
    return ended.stderr if status else ended.stdout


def one_click_link(database: Database, keys: Keys, address: str) -> str:
    """The path of the link in the List-Unsubscribe header of this reader's mail."""
    with database.read() as session:
        public_id = session.scalars(
            select(Subscription.public_id)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(Subscriber.address == address)
        ).one()
    return f"/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, public_id)}"


def leave(website: Website, link: str) -> None:
    """What a mail program posts when its button is pressed (RFC 8058)."""
    assert website.post(link, {"List-Unsubscribe": "One-Click"}).status == 200
