"""Writes a migration for what the models have and the migrations have not: a draft, to be read.

Run as `python -m tools.make_migration 0002 "add bounces"`. An existing one of that number is replaced,
which is right only as long as no release has it.
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from alembic import command

from mailer import schema
from mailer.db import Database
from mailer.packaged_files import resource_folder


def main(number: str, message: str) -> None:
    versions = resource_folder("migrations") / "versions"
    for old in versions.glob(f"{number}_*.py"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'draft.db'}")
        if any(versions.glob("0*.py")):
            schema.create(database, "draft", datetime.now(UTC))
        with schema.migration(database) as connection:
            config = schema.alembic_config(connection)
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            command.revision(config, message, autogenerate=True, rev_id=number)
        database.dispose()
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "-q", *versions.glob(f"{number}_*.py")], check=True
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
