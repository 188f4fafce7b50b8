"""POST /subscribe, /embed/{slug} and /api/subscribe: a sign-up, and one answer for every address."""

import json
from collections.abc import Callable
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from mailer.newsletters.offer import Offer, offers
from mailer.permission.consent import Origin
from mailer.subscribers.limits import admit
from mailer.subscribers.signup import SignupRequest, sign_up
from mailer.web.newsletters import show_form, speaking
from mailer.web.signup_form import Errors, SignupForm, form_time, read_wish
from mailer.web.site import Site, fields_of, site_of


async def by_form(http: Request) -> Response:
    """A form of ours or of any other site."""
    form, site = SignupForm.of(await fields_of(http)), site_of(http)
    slug = http.path_params.get("slug")
    if slug is not None:
        # The frame is one newsletter's, whatever its form names.
        form = replace(form, newsletters=(slug,))
    origin = site.origin(http, "/subscribe" if slug is None else "/embed")
    return await run_in_threadpool(_answer_form, http, form, origin, slug is not None)


async def by_json(http: Request) -> Response:
    """A program."""
    try:
        form = SignupForm.of_json(json.loads(await http.body()))
    except (ValueError, RecursionError):
        return JSONResponse({"error": "the body must be a JSON object"}, 422)
    origin = site_of(http).origin(http, "/api/subscribe")
    return await run_in_threadpool(_answer_json, http, form, origin)


def _answer_form(http: Request, form: SignupForm, origin: Origin, embedded: bool) -> Response:
    site = site_of(http)
    shown, wish = _read(http, form)
    if embedded and not any(one.look.slug in form.newsletters for one in shown):
        raise HTTPException(404)
    if isinstance(wish, SignupRequest):
        wish = _in_time(http, form, shown) or wish
    if isinstance(wish, Errors):
        return show_form(http, shown, embedded=embedded, form=form, errors=wish, status=422)
    _sign_up(site, form, wish, origin)
    if form.next in site.app.settings.next_urls:
        return RedirectResponse(form.next, 303)
    return site.page("check_your_inbox", look=wish.choices[0].offer.look, request=http)


def _answer_json(http: Request, form: SignupForm, origin: Origin) -> Response:
    _, wish = _read(http, form)
    if isinstance(wish, Errors):
        return JSONResponse({"error": wish.first}, 422)
    _sign_up(site_of(http), form, wish, origin)
    return JSONResponse({"status": "pending"}, 202)


def _read(http: Request, form: SignupForm) -> tuple[list[Offer], SignupRequest | Errors]:
    """The newsletters of the page that the form came from, and what it asks for."""
    site = site_of(http)
    with site.app.database.read() as session:
        on_offer = offers(session, site.app.publisher)
    shown = [one for one in on_offer if one.look.slug in form.newsletters]
    open_ones = [one for one in on_offer if one.is_open]
    if not shown or (len(open_ones) > 1 and len(form.newsletters) != 1):
        shown = open_ones
    return shown, read_wish(form, on_offer, _translating(http, shown))


def _translating(http: Request, shown: list[Offer]) -> Callable[..., str]:
    """What translates into the language of a page that shows these newsletters."""
    site = site_of(http)
    return site.app.templates.gettext(site.language(speaking(http, shown), http))


def _in_time(http: Request, form: SignupForm, shown: list[Offer]) -> Errors | None:
    """What to say to whom the form was not shown as long as to a person. Other sites' forms carry no time."""
    if not form.stamp:
        return None
    site = site_of(http)
    says = form_time(site.app.keys.read_form_stamp(form.stamp), site.app.times.wall())
    _ = _translating(http, shown)
    if says == "quick":
        return Errors(form=_("That was very quick. Press the button again."))
    if says == "old":
        return Errors(form=_("This page was open for a long time. Press the button again."))
    return None


def _sign_up(site: Site, form: SignupForm, wish: SignupRequest, origin: Origin) -> None:
    app, now = site.app, site.app.times.wall()
    with app.database.write() as session:
        if form.trap:
            # Only a robot fills in what nobody sees. It gets the answer that everybody gets, as often.
            admit(session, origin.ip, "", app.settings.signup_limits, now=now)
        else:
            sign_up(session, wish, origin, app.signup_context, now=now)
