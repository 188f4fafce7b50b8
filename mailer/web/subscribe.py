"""POST /subscribe, /embed/{slug} and /api/subscribe: a sign-up, and one answer for every address."""

import json
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from mailer.subscriptions.client import Client
from mailer.subscriptions.offer import Offer, offers
from mailer.subscriptions.signup import Wish, request
from mailer.web.newsletters import show_form
from mailer.web.signup_form import Errors, SignupForm, form_time, read_wish
from mailer.web.site import Site, fields_of, site_of


async def by_form(http: Request) -> Response:
    """A form of ours or of any other site."""
    form, site = SignupForm.of(await fields_of(http)), site_of(http)
    slug = http.path_params.get("slug")
    if slug is not None:
        # The frame is one newsletter's, whatever its form names.
        form = replace(form, newsletters=(slug,))
    client = site.client(http, "/subscribe" if slug is None else "/embed")
    return await run_in_threadpool(_answer_form, http, form, client, slug is not None)


async def by_json(http: Request) -> Response:
    """A program."""
    try:
        form = SignupForm.of_json(json.loads(await http.body()))
    except (ValueError, RecursionError):
        return JSONResponse({"error": "the body must be a JSON object"}, 422)
    site = site_of(http)
    client = site.client(http, "/api/subscribe")
    return await run_in_threadpool(_answer_json, site, form, client)


def _answer_form(http: Request, form: SignupForm, client: Client, embedded: bool) -> Response:
    site = site_of(http)
    on_offer, wish = _read(site, form)
    if embedded and not any(one.look.slug in form.newsletters for one in on_offer):
        raise HTTPException(404)
    shown = [one for one in on_offer if one.look.slug in form.newsletters] or [
        one for one in on_offer if one.is_open
    ]
    if isinstance(wish, Wish):
        wish = _in_time(site, form, shown) or wish
    if isinstance(wish, Errors):
        several = len([one for one in on_offer if one.is_open]) > 1 and len(form.newsletters) != 1
        if several:
            shown = [one for one in on_offer if one.is_open]
        return show_form(http, shown, embedded=embedded, form=form, errors=wish, status=422)
    _sign_up(site, form, wish, client)
    if form.next in site.app.settings.next_urls:
        return RedirectResponse(form.next, 303)
    return site.page("look_at_your_inbox", look=wish.choices[0].offer.look, request=http)


def _answer_json(site: Site, form: SignupForm, client: Client) -> Response:
    _, wish = _read(site, form)
    if isinstance(wish, Errors):
        return JSONResponse({"error": wish.first}, 422)
    _sign_up(site, form, wish, client)
    return JSONResponse({"status": "pending"}, 202)


def _read(site: Site, form: SignupForm) -> tuple[list[Offer], Wish | Errors]:
    with site.app.database.read() as session:
        on_offer = offers(session, site.app.publisher)
    language = next((one.look.language for one in on_offer), "en")
    return on_offer, read_wish(form, on_offer, site.app.templates.gettext(language))


def _in_time(site: Site, form: SignupForm, shown: list[Offer]) -> Errors | None:
    """What to say to whom the form was not shown as long as to a person. Other sites' forms carry no time."""
    if not form.stamp:
        return None
    says = form_time(site.app.keys.read_form_stamp(form.stamp), site.app.times.wall())
    _ = site.app.templates.gettext(shown[0].look.language)
    if says == "quick":
        return Errors(form=_("That was very quick. Please press the button once more."))
    if says == "old":
        return Errors(form=_("This page was open for long. Please press the button once more."))
    return None


def _sign_up(site: Site, form: SignupForm, wish: Wish, client: Client) -> None:
    if form.trap:
        # Only a robot fills in what nobody sees. It gets the answer that everybody gets.
        return
    with site.app.database.write() as session:
        request(session, wish, client, site.app.desk, site.app.terms, now=site.app.times.wall())
