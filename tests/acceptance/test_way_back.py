"""The way back from an upgrade: the backup that was made before it, restored by the version of then."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import NEWSLETTER

ROOT = Path(__file__).parents[2]
NEXT = "9998"
MIGRATION = f'''
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{NEXT}", "%s", None, None


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True),
                    sa.Column("newsletter_id", sa.BigInteger(), sa.ForeignKey("newsletter.id")))
    op.execute("INSERT INTO later (id, newsletter_id) SELECT 1, id FROM newsletter")
    op.add_column("newsletter", sa.Column("later", sa.Text(), nullable=False, server_default="x"))


def downgrade() -> None:
    raise NotImplementedError
'''

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.real_processes,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("postgresql_programs"),
]


def newer_version(folder: Path) -> Path:
    """A copy of the program with one more migration."""
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("mailer", "migrations", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    versions = folder / "migrations" / "versions"
    last = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
    (versions / f"{NEXT}_later.py").write_text(MIGRATION % last)
    return folder


def type_newer(installation: Any, program: Path, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "mailer", *words],
        cwd=program,
        env=installation.environment
        | {
            "PYTHONPATH": str(program),
            "PATH": os.environ["PATH"],
            "MAILER_CONFIG": str(installation.folder / "mailer.toml"),
            "MAILER_DATABASE_URL": installation.settings.get(
                "database_url", f"sqlite:///{installation.folder / 'mailer.db'}"
            ),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_backup_is_the_way_back_from_an_upgrade(installation: Any, tmp_path: Path) -> None:
    installation.type(*NEWSLETTER)
    installation.type("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "UTC")
    add = ("subscriber", "add", "--newsletter", "daily", "--consent-source", "by letter")
    installation.type(*add, "ann@example.com")
    installation.type(*add, "bob@example.com")
    installation.type("db", "backup", str(tmp_path / "before.backup"))

    newer = newer_version(tmp_path / "newer")
    type_newer(installation, newer, "db", "upgrade")
    assert json.loads(type_newer(installation, newer, "db", "check", "--json"))["schema"] == NEXT
    # What readers ask for while the newer version runs must not be undone by the way back.
    type_newer(installation, newer, "subscriber", "unsubscribe", "bob@example.com")

    refused = installation.run("status")
    assert refused.returncode == 1
    assert f"schema {NEXT} of a newer mailer" in refused.stderr
    assert "install the newer one again" in refused.stderr
    assert "mailer db restore" in refused.stderr
    assert installation.run("run worker").returncode == 1

    installation.type("db", "restore", "--yes", str(tmp_path / "before.backup"))
    assert installation.ask("db", "check")["ok"] is True
    installation.type("resume", "--yes")
    assert installation.ask("status")["paused_at"] is None
    readers = {
        reader["address"]: reader
        for reader in installation.ask("subscriber", "list", "--newsletter", "daily")
    }
    assert "ann@example.com" in readers
    left = installation.type("subscriber", "show", "bob@example.com")
    assert "left" in left or "unsubscribed" in left
    # And forward again.
    type_newer(installation, newer, "db", "upgrade")
    assert json.loads(type_newer(installation, newer, "db", "check", "--json"))["ok"] is True
