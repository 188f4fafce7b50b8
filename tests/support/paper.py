"""A newsletter with two schedules, into which files of readers are imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailer.db import Database
from mailer.newsletters.offer import Publisher, find_option, offer
from mailer.subscribers.entering.csv_import import ImportCounts, import_readers
from mailer.subscribers.entering.rejected_rows import RejectedRows
from mailer.subscribers.importing.read import ReadOptions, read_rows
from mailer.subscribers.signup import ScheduleChoice
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW
from tests.support.signups import signup_context


@dataclass
class Paper:
    """The newsletter `daily` with an article, and a file of readers to import."""

    database: Database
    keys: Keys
    path: Path

    def __post_init__(self) -> None:
        with self.database.write() as session:
            daily = factories.newsletter(session)
            factories.article(session, daily)
            names = ("morning", "weekly")
            self.morning, self.weekly = (factories.schedule(session, daily, one) for one in names)

    def write(self, *addresses: str) -> None:
        self.path.write_text("\n".join(["email", *addresses, ""]), encoding="utf-8")

    def run(
        self,
        schedule: str | None = None,
        progress: Any = lambda rows: None,
        through: Any = iter,
        **options: Any,
    ) -> dict[str, Any]:
        with self.database.read() as session:
            daily = offer(session, Publisher(), "daily")
        choice = ScheduleChoice(daily, find_option(daily, schedule and f"daily/{schedule}"))
        source, context = f"import {self.path.name}: the fair", signup_context(self.keys)
        with RejectedRows() as rejected:
            counts = ImportCounts(rejected, progress)
            rows = read_rows(self.path, ReadOptions(NOW, languages={"hy", "de"})).rows
            options = {"clock": lambda: NOW, **options}
            import_readers(self.database, through(rows), choice, source, context, counts, **options)
            data = counts.as_data()
            data["rejected"] = [{"line": row.line, "reason": row.reason} for row in rejected]
        return data
