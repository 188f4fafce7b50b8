"""Serves the sign-up form at /, /subscribe and /embed, and takes sign-ups from it and by JSON.

Never lets an answer depend on what is known of the address.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from mailer.newsletters.offer import Offer, consent_sentence, several_zones
from mailer.subscribers.signup import SignupRequest, sign_up
from mailer.subscribers.signup_limits import admit
from mailer.web.base import (
    VARY,
    Fields,
    app_of,
    origin_of,
    page_language,
    preferred_look,
    read_offers,
    render_page,
    with_fields,
)
from mailer.web.signup_form import QUICKEST, FormErrors, SignupForm, check_form_time, read_request


def show_all(request: Request) -> Response:
    """Show one form with every open newsletter."""
    return _form_page(request, [offer for offer in read_offers(request) if offer.is_open])


def show(request: Request) -> Response:
    """Show the form of one newsletter; below /embed for a frame in another site's page.

    Raises:
        HTTPException: there is no such newsletter.
    """
    slug = request.path_params["slug"]
    # Compared here, because a path may hold what a database may not.
    shown = [offer for offer in read_offers(request) if offer.look.slug == slug]
    if not shown:
        raise HTTPException(404)
    return _form_page(request, shown)


@with_fields
def submit(request: Request, fields: Fields) -> Response:
    """Take a sign-up from our form or another site's.

    Raises:
        HTTPException: there is no newsletter with the slug of the frame.
    """
    form, slug = SignupForm.of(fields), request.path_params.get("slug")
    if slug is not None:
        # The frame is one newsletter's, whatever its form names.
        form = replace(form, newsletters=(slug,))
    on_offer = read_offers(request)
    shown = _shown(form, on_offer)
    if slug is not None and not any(offer.look.slug == slug for offer in shown):
        raise HTTPException(404)
    translate = _translator(request, shown)
    signup_request = read_request(form, on_offer, translate)
    if isinstance(signup_request, SignupRequest) and form.stamp:
        # Forms of other sites carry no stamp.
        app = app_of(request)
        shown_at, now = app.keys.read_form_stamp(form.stamp), app.times.wall()
        signup_request = check_form_time(shown_at, now, translate) or signup_request
    if isinstance(signup_request, FormErrors):
        return _form_page(request, shown, form=form, errors=signup_request, status=422)
    _sign_up(request, form, signup_request, "/subscribe" if slug is None else "/embed")
    if form.next in app_of(request).settings.next_urls:
        return RedirectResponse(form.next, 303)
    return render_page(request, "look_at_your_inbox", look=signup_request.choices[0].offer.look)


async def submit_json(request: Request) -> Response:
    """Take a sign-up from a program."""
    try:
        form = SignupForm.of_json(json.loads(await request.body()))
    except (ValueError, RecursionError):
        return JSONResponse({"error": "the body must be a JSON object"}, 422)
    return await run_in_threadpool(_submit_json, request, form)


def _submit_json(request: Request, form: SignupForm) -> Response:
    on_offer = read_offers(request)
    translate = _translator(request, _shown(form, on_offer))
    signup_request = read_request(form, on_offer, translate)
    if isinstance(signup_request, FormErrors):
        return JSONResponse({"error": signup_request.first}, 422)
    _sign_up(request, form, signup_request, "/api/subscribe")
    return JSONResponse({"status": "pending"}, 202)


def _form_page(
    request: Request,
    shown: list[Offer],
    *,
    form: SignupForm | None = None,
    errors: FormErrors | None = None,
    status: int = 200,
) -> Response:
    """Show the form for these newsletters, with what was entered before and what is wrong with it."""
    app = app_of(request)
    embedded = request.scope["path"].startswith("/embed/")
    # The second try of a form may be as quick as it likes.
    shown_at = app.times.wall() - (QUICKEST if errors else timedelta())
    return render_page(
        request,
        "form",
        look=preferred_look(request, shown),
        status=status,
        headers=VARY if len(shown) > 1 else None,
        offers=shown,
        consent={
            offer.look.slug: consent_sentence(
                app.templates.gettext(offer.look.language), offer.look
            )
            for offer in shown
        },
        alone=len(shown) == 1,
        embedded=embedded,
        action=f"/embed/{shown[0].look.slug}" if embedded else "/subscribe",
        form=form or SignupForm(),
        errors=errors or FormErrors(),
        stamp=app.keys.form_stamp(shown_at),
        several_zones=several_zones(shown),
    )


def _shown(form: SignupForm, on_offer: list[Offer]) -> list[Offer]:
    """Return the newsletters of the page that the form came from."""
    named = [offer for offer in on_offer if offer.look.slug in form.newsletters]
    open_offers = [offer for offer in on_offer if offer.is_open]
    if not named or (len(open_offers) > 1 and len(form.newsletters) != 1):
        return open_offers
    return named


def _translator(request: Request, shown: list[Offer]) -> Callable[..., str]:
    """Return what translates into the language of a page that shows these newsletters."""
    language = page_language(request, preferred_look(request, shown))
    return app_of(request).templates.gettext(language)


def _sign_up(request: Request, form: SignupForm, signup_request: SignupRequest, path: str) -> None:
    app, origin = app_of(request), origin_of(request, path)
    with app.database.write() as session:
        if form.honeypot:
            # Only a robot fills in what nobody sees. It gets the answer that everybody gets, as often.
            admit(session, origin, "", app.settings.signup_limits)
        else:
            sign_up(session, signup_request, origin, app.signup_context)
