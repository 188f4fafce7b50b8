"""Every act that a restore may not undo is in the journal, and no module does such an act without it."""

import ast
import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.journal.digest_detail import DigestDetail
from mailer.models import JournalEntry, JournalKind, SuppressionReason
from mailer.permission import suppress
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW
from tests.support.imports import MAILER


def entries(database: Database) -> list[tuple[JournalKind, str | None, str | None, str | None]]:
    with database.read() as session:
        rows = session.scalars(select(JournalEntry).order_by(JournalEntry.id))
        return [(row.kind, row.key_hash, row.newsletter, row.reason) for row in rows]


def test_leaving_is_recorded_once(database: Database, keys: Keys) -> None:
    with database.write() as session:
        newsletter = factories.newsletter(session)
        reader = factories.subscriber(session, keys)
        subscription = factories.subscription(
            session, reader, factories.schedule(session, newsletter)
        )
        for _ in range(2):
            leave(session, subscription, Origin("/unsubscribe", NOW), reason="reader")
    assert entries(database) == [(JournalKind.LEFT, reader.key_hash, newsletter.slug, "reader")]


def test_suppressing_and_lifting_are_recorded(database: Database) -> None:
    with database.write() as session:
        newsletter = factories.newsletter(session)
        row = {"key_hash": "a", "address": "a@example.com", "now": NOW}
        bounced, staff = SuppressionReason.BOUNCED, SuppressionReason.STAFF
        not_me = SuppressionReason.NOT_ME
        suppress.suppress(session, **row, reason=bounced)
        suppress.suppress(session, **row, reason=bounced)
        suppress.suppress(session, **row, reason=staff)
        suppress.suppress(session, **row, reason=not_me, newsletter_id=newsletter.id)
        suppress.lift(session, "a", now=NOW, only=bounced)
        suppress.lift(session, "a", now=NOW)
        suppress.lift(session, "a", now=NOW)
    assert entries(database) == [
        (JournalKind.SUPPRESSED, "a", None, "bounced"),
        (JournalKind.SUPPRESSED, "a", None, "staff"),
        (JournalKind.SUPPRESSED, "a", newsletter.slug, "not_me"),
        (JournalKind.LIFTED, "a", None, None),
    ]


MAY_WRITE = {
    "left_at": {
        "mailer/permission/leave.py",
        "mailer/subscribers/confirmation.py",
        "mailer/subscribers/erase.py",
        "mailer/subscribers/entering/store.py",
        "mailer/database_copies/replayed_acts.py",
    },
    "erased_at": {"mailer/subscribers/erase.py"},
    "suppressions": {
        "mailer/permission/suppress.py",
        "mailer/subscribers/erase.py",
        "mailer/subscribers/address_change.py",
        "mailer/database_copies/replayed_acts.py",
    },
}
"""Modules that write what must survive a restore. Each of them records it, or does what is recorded."""
WRITES = ("insert", "update", "delete", "insert_missing", "insert_if", "dialect_insert", "add")


def written(tree: ast.AST) -> set[str]:
    """What a module writes of these: keywords of `values()`, keys of dicts, attributes, and rows.

    Only of one that knows the tables: others have attributes of these names too.
    """
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if names.isdisjoint({"Subscription", "Subscriber", "Suppression"}):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called == "values":
                found |= {keyword.arg for keyword in node.keywords if keyword.arg}
            if called in WRITES and re.search(r"\bSuppression\b", ast.unparse(node)):
                found.add("suppressions")
        elif isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            found |= keys - {"suppressions"}
        elif isinstance(node, ast.Assign):
            found |= {t.attr for t in node.targets if isinstance(t, ast.Attribute)}
    return found & MAY_WRITE.keys()


def test_no_other_module_writes_what_a_restore_may_not_undo() -> None:
    root = MAILER.parent
    writers = {
        (path.relative_to(root).as_posix(), what)
        for path in MAILER.rglob("*.py")
        for what in written(ast.parse(path.read_text()))
    }
    allowed = {(path, what) for what, paths in MAY_WRITE.items() for path in paths}
    assert writers - allowed == set()
    # Otherwise this test would look for nothing.
    assert ("mailer/permission/leave.py", "left_at") in writers
    assert ("mailer/permission/suppress.py", "suppressions") in writers
    assert ("mailer/subscribers/erase.py", "erased_at") in writers


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"articles": 1}', "x", '{"articles":[{}]}'])
def test_what_is_no_digest_is_not_read_as_one(text: str) -> None:
    assert DigestDetail.read(text) is None


def test_a_digest_is_read_as_it_was_written() -> None:
    at = NOW + timedelta(hours=1)
    detail = DigestDetail("morning", "2026-11-24 07:00", at, "sending", "Ünd", 3, [], "UTC", "due")
    assert DigestDetail.read(detail.text()) == detail
