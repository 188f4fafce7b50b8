"""Takes a move back while the new database has sent nothing: the old one may be used again, the new one not.

Never takes back a move after which a mail was begun: the old database would send it again. What the new one's
journal says, such as who has left, is told to the old one before it is used.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, Row, func, make_url, select, text, update

from mailer import schema
from mailer.database_copies.moving.checksums import differing
from mailer.database_copies.moving.move import Show, has_tables, lines_transaction, sums
from mailer.database_copies.moving.new_place import new_place, place_of
from mailer.database_copies.replay import replay
from mailer.db import Database
from mailer.errors import Refused
from mailer.failpoint import reach
from mailer.journal import file
from mailer.journal.entries import RecordedEntry
from mailer.models import (
    PENDING,
    Delivery,
    Installation,
    JournalEntry,
    JournalKind,
    Notice,
    Tally,
    TokenBucket,
    Worker,
)

_IN_PARTS: Final = {"yield_per": 5000}

Confirm = Callable[[list[str]], bool]
"""Is told which tables have been changed at the new database; tells whether that may be lost."""

_NOT_MISSED: Final = frozenset(
    table.__tablename__ for table in (Worker, Tally, TokenBucket, JournalEntry)
)
"""Tables that a process changes by only being started, and the journal, which is taken along."""


def take_back(
    database: Database,
    url: str,
    *,
    fingerprint: str,
    lease: timedelta,
    now: datetime,
    confirm: Confirm,
    show: Show,
) -> bool:
    """Take the move to `url` back; doing it again after the process was killed finishes it.

    Returns:
        False if `confirm` did.

    Raises:
        Refused: nothing was moved there, this is the new database, or it is in use, or has sent a mail.
        DatabaseUnavailable: the new one cannot be reached.
        SchemaError: the old one has no current schema.
        SettingsError: the identity key is another database's.
    """
    schema.check(database, fingerprint, even_if_moved=True)
    back = place_of(database.url)
    if back == place_of(make_url(url)):
        raise Refused(
            "`database_url` names the new database; name the old one there again, and repeat the command"
        )
    with new_place(url, lease=lease, now=now) as (target, place):
        is_empty = _check(database, target, place)
        if not is_empty:
            with lines_transaction(target):
                is_marked = _is_marked(target, fingerprint, back)
                lost = [] if is_marked else _changed(database, target, place, show)
            if lost and not confirm(lost):
                return False
            with target.begin():
                target.execute(update(Installation).values(moved_at=now, moved_to=back))
            reach("move.abandoned")
        _free(database, [] if is_empty else _journal(target), now)
    return True


def _check(database: Database, target: Connection, place: str) -> bool:
    """Check that this database was moved there; tell whether nothing is there, because it broke off.

    Raises:
        Refused: it was not, or what was there is gone.
    """
    with database.read() as session:
        moved_at, moved_to = session.execute(
            select(Installation.moved_at, Installation.moved_to)
        ).one()
    if moved_to is None:
        raise Refused("nothing was moved from this database, so there is nothing to take back")
    if moved_to != place:
        raise Refused(f"this database was moved to {moved_to}, and not to {place}; give that URL")
    with target.begin():
        if has_tables(target):
            return False
    if moved_at is None:
        return True
    raise Refused(
        f"{place} is empty by now, so nobody can tell whether it has sent what this one would send again; "
        "restore a backup of it there, and try again"
    )


def _is_marked(target: Connection, fingerprint: str, back: str) -> bool:
    """Tell whether an earlier command, which was killed, has marked the new database already.

    Raises:
        Refused: it is not the database that this one was moved to, or not any more.
    """
    version = target.scalar(text("SELECT version_num FROM alembic_version"))
    if version != schema.head():
        raise Refused(
            f"the new database has schema {version}, and the old one {schema.head()}; "
            "go on with the new one"
        )
    identity, moved_to = target.execute(
        select(Installation.identity_fingerprint, Installation.moved_to)
    ).one()
    if identity != fingerprint:
        raise Refused("the new database belongs to another identity key; check the URL")
    if moved_to not in {None, back}:
        raise Refused(f"the new database was moved on to {moved_to}; go on with that one")
    return moved_to is not None


def _changed(database: Database, target: Connection, place: str, show: Show) -> list[str]:
    """Name the tables that have changed at the new database.

    Raises:
        Refused: it has begun to send.
    """
    with database.engine.connect() as source, lines_transaction(source):
        for table in (Delivery, Notice):
            if _has_begun(source, target, table):
                raise Refused(
                    f"{place} has begun to send since the move, and this database would send the same "
                    "again; go on with that one"
                )
        different = differing(
            sums(source, "comparing the old", show), sums(target, "comparing the new", show)
        )
    return [one for one in different if one.partition(" ")[0] not in _NOT_MISSED]


def _has_begun(source: Connection, target: Connection, table: type[Delivery | Notice]) -> bool:
    """Tell whether a mail was begun at the new database, or ended there and purged since.

    Purges also delete mails that the old one had sent: they prove nothing.
    """
    query = select(table.id, table.attempts, table.status.in_(PENDING)).order_by(table.id)
    with (
        source.execute(query, execution_options=_IN_PARTS) as old,
        target.execute(query, execution_options=_IN_PARTS) as new,
    ):
        known = (tuple(row) for row in old)
        here = next(known, None)
        for row_id, attempts, _ in new:
            while here is not None and here[0] < row_id:
                if here[2]:
                    return True
                here = next(known, None)
            is_known = here is not None and here[0] == row_id
            if attempts != (here[1] if here is not None and is_known else 0):
                return True
            here = next(known, None) if is_known else here
        rest = chain([] if here is None else [here], known)
        return any(was_pending for *_, was_pending in rest)


def _journal(target: Connection) -> list[Row[Any]]:
    with target.begin():
        return list(
            target.execute(
                select(JournalEntry.__table__)
                .where(JournalEntry.kind != JournalKind.DIGEST)
                .order_by(JournalEntry.id)
            )
        )


def _free(database: Database, journal: list[Row[Any]], now: datetime) -> None:
    """Tell the old database what happened at the new one, and let it be used again.

    Raises:
        Refused: the journal beside it cannot be written.
    """
    if (path := file.path_of(database.url)) is not None:
        with database.read() as session:
            last = session.scalar(select(func.max(JournalEntry.id))) or 0
            identity = session.scalar(select(Installation.identity_fingerprint)) or ""
        # The move has written behind them that nothing is known of what follows.
        try:
            file.remove_after(path, identity, last)
        except OSError as error:
            raise Refused(
                f"the journal {path.name} cannot be written ({error.strerror}); "
                "make it writable for this user, and repeat this command"
            ) from error
    with database.write() as session:
        replay(session, map(RecordedEntry.of, journal), now=now)
        session.execute(update(Installation).values(moved_at=None, moved_to=None))
        reach("move.freed")
