"""Serves /data/{token} and /erase/{token}: a reader sees what is held about them, and deletes it.

Both links are mailed on demand and live one hour. Opening one changes nothing, because mail scanners open
links. Once somebody is erased, both links still work, and show nothing of the person.
"""

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mailer.app import App
from mailer.db import AdvisoryLock, take_lock
from mailer.db.wiping import empty_wal, renew_samples
from mailer.errors import BadToken
from mailer.models import Subscriber
from mailer.subscribers.erase import erase
from mailer.subscribers.rights.consent_record import shown_events
from mailer.subscribers.rights.held_data import HeldData, Retention, find_person, held_data
from mailer.tokens import Purpose
from mailer.web.base import (
    app_of,
    origin_of,
    preferred_look,
    public_id_of,
    read_offers,
    reader_look,
    render_page,
)

_WAIT_FOR_WAL = 1.0


def show_data(request: Request) -> Response:
    """Show what is held, as a page or for `?format=json` as a file; changes nothing."""
    public_id = public_id_of(request, Purpose.DATA)
    if public_id is None:
        return _expired(request)
    app = app_of(request)
    with app.database.read() as session:
        person = _person(session, public_id)
        data = _data_of(app, session, person)
        look = reader_look(request, session, public_id)
    if request.query_params.get("format") == "json":
        headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
        return JSONResponse({} if data is None else data.as_json(), headers=headers)
    events = [] if data is None else shown_events(data.consent)
    return render_page(request, "data", look=look, data=data, events=events)


def show_erase(request: Request) -> Response:
    """Show the page with the button; changes nothing."""
    public_id = public_id_of(request, Purpose.ERASE)
    if public_id is None:
        return _expired(request)
    with app_of(request).database.read() as session:
        person = _person(session, public_id)
        look = reader_look(request, session, public_id)
    template = "erase" if person.erased_at is None else "erased"
    return render_page(request, template, look=look)


def act_erase(request: Request) -> Response:
    """Erase the reader, because the button was pressed. The body does not matter."""
    app, public_id = app_of(request), public_id_of(request, Purpose.ERASE)
    if public_id is None:
        return _expired(request)
    origin = origin_of(request, "/erase")
    with app.database.write() as session:
        # First: their address, and with it the hash, may be changing now.
        take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
        person = _person(session, public_id)
        # The answer is still in their language, of which nothing is left then.
        look = reader_look(request, session, public_id)
        if person.erased_at is None:
            erase(session, person.key_hash, source=origin.source, now=origin.at)
    # What was deleted is still in SQLite's WAL. If somebody is reading, the scheduler does it later.
    empty_wal(app.database, wait_seconds=_WAIT_FOR_WAL)
    renew_samples(app.database, skip_locked=True)
    return render_page(request, "erased", look=look)


def _expired(request: Request) -> Response:
    look = preferred_look(request, read_offers(request))
    return render_page(request, "preferences_expired", look=look, status=410)


def _person(session: Session, public_id: int) -> Subscriber:
    """Read the subscriber whom a link names.

    Raises:
        BadToken: there is none: the database was restored from before they came.
    """
    person = find_person(session, public_id)
    if person is None:
        raise BadToken
    return person


def _data_of(app: App, session: Session, person: Subscriber) -> HeldData | None:
    if person.erased_at is not None:
        return None
    retention = Retention(app.settings.consent_retention, app.settings.ledger_retention)
    now = app.times.wall()
    return held_data(session, person.key_hash, person.address, app.publisher, retention, now=now)
