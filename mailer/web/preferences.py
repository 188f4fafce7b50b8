"""Serves /preferences, which mails a link, and /preferences/{token}, where that link leads."""

from starlette.requests import Request
from starlette.responses import Response

from mailer.address import parse
from mailer.errors import BadAddress
from mailer.message.look import Look
from mailer.models import NoticeKind
from mailer.newsletters.offer import several_zones
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.subscribers.preferences import change_schedule, read_subscriptions, request_link
from mailer.subscribers.rights.data_links import KINDS, mail_data_link
from mailer.tokens import Purpose
from mailer.web.base import (
    VARY,
    Fields,
    app_of,
    origin_of,
    page_language,
    preferred_look,
    public_id_of,
    read_offers,
    reader_look,
    render_page,
    with_fields,
)


def ask(request: Request) -> Response:
    """Show the page that asks for the address."""
    return _ask(request, _look(request))


@with_fields
def send_link(request: Request, fields: Fields) -> Response:
    """Mail a link to the reader with that address; the answer is the same for every address."""
    app, look = app_of(request), _look(request)
    email = fields.get("email", [""])[0]
    try:
        address = parse(email)
    except BadAddress:
        _ = app.templates.gettext(page_language(request, look))
        error = _("That doesn’t look like an email address. Check for typos.")
        return _ask(request, look, status=422, email=email, error=error)
    origin = origin_of(request, "/preferences")
    with app.database.write() as session:
        request_link(session, address, origin, app.signup_context)
    return render_page(request, "preferences_sent", look=look, headers=VARY)


def show(request: Request) -> Response:
    """Show what the reader gets; changes nothing."""
    return _answer(request, public_id_of(request, Purpose.PREFERENCES))


@with_fields
def act(request: Request, fields: Fields) -> Response:
    """Change schedules, leave some newsletters or all of them, or mail a link to see or delete one's data."""
    app, public_id = app_of(request), public_id_of(request, Purpose.PREFERENCES)
    if public_id is None:
        return _answer(request, None)
    origin = origin_of(request, "/preferences")
    if kind := KINDS.get(fields.get("ask", [""])[0]):
        return _mail_data_link(request, public_id, kind, origin)
    with app.database.write() as session:
        for view in read_subscriptions(session, app.publisher, public_id):
            wanted = fields.get(view.offer.look.slug, [""])[0]
            option = view.offer.option(wanted)
            if "all" in fields.get("leave", ()) or wanted == "leave":
                leave(session, view.subscription, origin, reason="reader")
            elif option is not None:
                change_schedule(session, view, option, origin)
    return _answer(request, public_id, saved=bool(fields))


def _mail_data_link(request: Request, public_id: int, kind: NoticeKind, origin: Origin) -> Response:
    app = app_of(request)
    with app.database.write() as session:
        mail_data_link(session, public_id, kind, origin, app.signup_context)
        look = reader_look(request, session, public_id)
    return render_page(request, "data_link_sent", look=look)


def _ask(
    request: Request, look: Look | None, *, status: int = 200, email: str = "", error: str = ""
) -> Response:
    return render_page(
        request,
        "preferences_ask",
        look=look,
        status=status,
        headers=VARY,
        email=email,
        error=error,
    )


def _answer(request: Request, public_id: int | None, *, saved: bool = False) -> Response:
    app = app_of(request)
    if public_id is None:
        return render_page(request, "preferences_expired", look=_look(request), status=410)
    with app.database.read() as session:
        views = read_subscriptions(session, app.publisher, public_id)
        look = reader_look(request, session, public_id)
    return render_page(
        request,
        "preferences",
        look=look,
        places=views,
        saved=saved,
        several_zones=several_zones(view.offer for view in views),
    )


def _look(request: Request) -> Look | None:
    """Return a look in the browser's language, for a page that is about no newsletter."""
    return preferred_look(request, read_offers(request))
