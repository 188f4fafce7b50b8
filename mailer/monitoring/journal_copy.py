"""Says whether the journal's copy beside the database is complete. Only reads."""

from mailer.db import Database
from mailer.journal import copies, file
from mailer.text.english import pluralise


def journal_warnings(database: Database) -> list[str]:
    """Warn if a restore could not be told all that must not be undone, with the next step."""
    try:
        own, copied = copies.last_ids(database)
    except OSError as error:
        return [
            (
                f"the journal beside the database cannot be read ({error.strerror}); "
                "make it readable for this user"
            )
        ]
    if own <= (copied or 0):
        return []
    missing = pluralise(own - (copied or 0), "entry is", "entries are")
    if not database.is_sqlite:
        if copied is not None:
            return []
        return [
            (
                f"{missing} in no copy of the journal, because this role may not create the schema "
                "mailer_journal: grant CREATE on the database, and run `mailer db upgrade`"
            )
        ]
    path = file.path_of(database.url)
    name = "the journal" if path is None else f"the journal {path.name}"
    return [
        (
            f"{missing} missing in {name}: if the database were lost now, a restore would not know of it; "
            "check the disk, and that this user may write there"
        )
    ]
