"""/preferences asks for the address and mails a link; /preferences/{token} is where that link leads."""

from collections.abc import Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailer.address import parse
from mailer.errors import BadAddress, ExpiredToken
from mailer.message.look import Look
from mailer.newsletters.offer import offers, several_zones
from mailer.permission.leave import leave
from mailer.subscribers.preferences import change_schedule, read_subscriptions, request_link
from mailer.tokens import Purpose
from mailer.web.newsletters import speaking
from mailer.web.site import fields_of, site_of

_VARY: Final = {"Vary": "Accept-Language"}


def ask(request: Request) -> Response:
    """The page that asks for the address."""
    site = site_of(request)
    return site.page(
        "preferences_request",
        look=_look(request),
        request=request,
        headers=_VARY,
        email="",
        error="",
    )


async def send_link(request: Request) -> Response:
    """Mail a link to whoever reads that address; the answer is the same for every address."""
    fields = await fields_of(request)
    return await run_in_threadpool(_send_link, request, fields.get("email", [""])[0])


def _send_link(request: Request, email: str) -> Response:
    site = site_of(request)
    look = _look(request)
    try:
        address = parse(email)
    except BadAddress:
        _ = site.app.templates.gettext(site.language(look, request))
        told = _("That doesn’t look like an email address. Check for typos.")
        return site.page(
            "preferences_request",
            look=look,
            request=request,
            status=422,
            headers=_VARY,
            email=email,
            error=told,
        )
    with site.app.database.write() as session:
        request_link(
            session,
            address,
            site.origin(request, "/preferences"),
            site.app.signup_context,
            now=site.app.times.wall(),
        )
    return site.page("preferences_sent", look=look, request=request, headers=_VARY)


def show(request: Request) -> Response:
    """What the reader gets; changes nothing."""
    site = site_of(request)
    try:
        public_id = site.public_id(request, Purpose.PREFERENCES)
    except ExpiredToken:
        return _expired(request)
    return _page(request, public_id)


async def act(request: Request) -> Response:
    """Change schedules, leave some newsletters, or all of them."""
    fields = await fields_of(request)
    return await run_in_threadpool(_act, request, fields)


def _act(request: Request, fields: Mapping[str, list[str]]) -> Response:
    site = site_of(request)
    try:
        public_id = site.public_id(request, Purpose.PREFERENCES)
    except ExpiredToken:
        return _expired(request)
    origin, now = site.origin(request, "/preferences"), site.app.times.wall()
    with site.app.database.write() as session:
        for view in read_subscriptions(session, site.app.publisher, public_id):
            slug = view.offer.look.slug
            wanted = fields.get(slug, [""])[0]
            if "all" in fields.get("leave", ()) or wanted == "leave":
                leave(session, view.subscription, origin, reason="reader", now=now)
                continue
            option = view.offer.option(wanted.removeprefix(f"{slug}/"))
            if option is not None:
                change_schedule(session, view, option, origin, now=now)
    return _page(request, public_id, saved=bool(fields))


def _page(request: Request, public_id: int, *, saved: bool = False) -> Response:
    site = site_of(request)
    with site.app.database.read() as session:
        found = read_subscriptions(session, site.app.publisher, public_id)
    look = found[0].offer.look if found else _look(request)
    return site.page(
        "preferences",
        look=look,
        request=request,
        places=found,
        saved=saved,
        several_zones=several_zones(place.offer for place in found),
    )


def _expired(request: Request) -> Response:
    site = site_of(request)
    return site.page("preferences_expired", look=_look(request), request=request, status=410)


def _look(request: Request) -> Look | None:
    """The look of a newsletter that speaks the browser's language, for pages that are about none."""
    site = site_of(request)
    with site.app.database.read() as session:
        return speaking(request, offers(session, site.app.publisher))
