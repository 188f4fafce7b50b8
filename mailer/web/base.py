"""Provides what every page needs: the opened program, rendering, the form's fields, and the client."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mailer.app import App
from mailer.errors import BadToken, ExpiredToken
from mailer.message.look import Look
from mailer.newsletters.offer import Offer, offers
from mailer.permission.consent import Origin
from mailer.subscribers.preferences import own_language, read_subscriptions
from mailer.templating.templates import Templates
from mailer.tokens import Purpose
from mailer.web.accept_language import preferred
from mailer.web.client_address import Network, client_ip, short_user_agent

MOST_FIELDS: Final = 100
VARY: Final = {"Vary": "Accept-Language"}
"""For a page whose language depends on the browser."""

Fields = Mapping[str, Sequence[str]]


def app_of(request: Request) -> App:
    """Return the opened program that this request came to.

    Raises:
        TypeError: the application was not made by `make_app`.
    """
    app = request.app.state.app
    if not isinstance(app, App):
        raise TypeError("the application was not made by make_app")
    return app


def render_page(
    request: Request,
    template: str,
    *,
    look: Look | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> HTMLResponse:
    """Render `web/{template}.html` in the language and the colours of a newsletter.

    A page that belongs to no newsletter is in the language that the browser asks for.
    """
    app = app_of(request)
    if look is None:
        headers = {**(headers or {}), **VARY}
    # Links are built from base_url and never from what a request says about the host.
    root, language = urlsplit(app.settings.base_url).path, page_language(request, look)
    # Without a context the page is the same for everybody.
    render = _render if context else _render_once
    return HTMLResponse(
        render(app.templates, template, language, root, look, **context), status, headers
    )


def _render(
    templates: Templates,
    template: str,
    language: str,
    root: str,
    look: Look | None,
    **context: object,
) -> str:
    return templates.render(
        f"web/{template}.html", language, {"root": root, "look": look, **context}
    )


_render_once: Final = lru_cache(maxsize=64)(_render)


def page_language(request: Request, look: Look | None) -> str:
    """Return the newsletter's language; without one the language that the browser asks for."""
    if look is not None:
        return look.language
    header = request.headers.get("accept-language", "")
    return preferred(header, app_of(request).templates.languages())


def preferred_look(request: Request, offers: Sequence[Offer]) -> Look | None:
    """Return the look of the offer in the language that the browser asks for, else of the first.

    A page of several newsletters has only one language, and its messages must be in the same.
    """
    if not offers:
        return None
    languages = list(dict.fromkeys(offer.look.language for offer in offers))
    language = preferred(request.headers.get("accept-language", ""), languages)
    return next(offer.look for offer in offers if offer.look.language == language)


def read_offers(request: Request) -> list[Offer]:
    """Read every newsletter, closed ones too, by title."""
    app = app_of(request)
    with app.database.read() as session:
        return offers(session, app.publisher)


def reader_look(request: Request, session: Session, public_id: int) -> Look | None:
    """Return the look of a reader's first newsletter, else as `preferred_look`; in their own language.

    Somebody who has left everything still has a language.
    """
    views = read_subscriptions(session, app_of(request).publisher, public_id)
    if views:
        return views[0].offer.look
    look = preferred_look(request, read_offers(request))
    language = own_language(session, public_id)
    return look if look is None or language is None else replace(look, language=language)


def client_ip_of(request: Request, trusted_proxies: Sequence[Network]) -> str | None:
    """Return the IP address of the client that sent this request."""
    peer = request.client.host if request.client else None
    return client_ip(peer, request.headers.getlist("x-forwarded-for"), trusted_proxies)


def origin_of(request: Request, source: str) -> Origin:
    """Return who asks, and when, for the consent log. `source` is the page's path without its token."""
    app = app_of(request)
    ip = client_ip_of(request, app.settings.trusted_proxies)
    user_agent = short_user_agent(request.headers.get("user-agent"))
    return Origin(source, app.times.wall(), ip, user_agent)


def public_id_of(request: Request, purpose: Purpose) -> int | None:
    """Return the public id in the path's token; None if the token has expired.

    Raises:
        BadToken: it was not made here for this purpose.
    """
    app, token = app_of(request), request.path_params["token"]
    if not isinstance(token, str):
        raise BadToken
    try:
        return app.keys.read(token, purpose, app.times.wall())
    except ExpiredToken:
        return None


def with_fields(
    page: Callable[[Request, Fields], Response],
) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint that reads the fields of a form and then runs `page` in a thread.

    The form is urlencoded or multipart; files are refused.
    """

    async def endpoint(request: Request) -> Response:
        fields: dict[str, list[str]] = {}
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields.setdefault(name, []).append(value)
        return await run_in_threadpool(page, request, fields)

    return endpoint
