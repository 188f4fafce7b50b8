"""GET /, /subscribe/{slug} and /embed/{slug}: the newsletters on offer and the sign-up form."""

from collections.abc import Sequence
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mailer.message.look import Look
from mailer.newsletters.offer import Offer, consent_sentence, offers, several_zones
from mailer.web.language import preferred
from mailer.web.signup_form import QUICKEST, Errors, SignupForm
from mailer.web.site import Site, site_of


def home(request: Request) -> Response:
    """Everything on offer, in one form."""
    site = site_of(request)
    return show_form(request, [one for one in _offers(site) if one.is_open])


def one_newsletter(request: Request) -> Response:
    """One newsletter's form."""
    return show_form(request, [_offer(site_of(request), request)])


def embedded(request: Request) -> Response:
    """One newsletter's form, for a frame in somebody else's page."""
    return show_form(request, [_offer(site_of(request), request)], embedded=True)


def show_form(
    request: Request,
    on_offer: list[Offer],
    *,
    embedded: bool = False,
    form: SignupForm | None = None,
    errors: Errors | None = None,
    status: int = 200,
) -> Response:
    """The form for these newsletters, again with what was entered where something is wrong."""
    site = site_of(request)
    look = speaking(request, on_offer)
    # Who sends a form that is shown again may be as quick as they like: the second try passes.
    shown_at = site.app.times.wall() - (QUICKEST if errors else timedelta())
    return site.page(
        "form",
        look=look,
        request=request,
        status=status,
        headers={"Vary": "Accept-Language"} if len(on_offer) > 1 else None,
        offers=on_offer,
        consent={
            one.look.slug: consent_sentence(site.app.templates.gettext(one.look.language), one.look)
            for one in on_offer
        },
        alone=len(on_offer) == 1,
        embedded=embedded,
        action=f"/embed/{on_offer[0].look.slug}" if embedded else "/subscribe",
        form=form or SignupForm(),
        errors=errors or Errors(),
        stamp=site.app.keys.form_stamp(shown_at),
        several_zones=several_zones(on_offer),
    )


def speaking(request: Request, on_offer: Sequence[Offer]) -> Look | None:
    """The look of what is on offer in the language that the browser asks for, else of the first.

    A page of several newsletters can speak but one language, and its messages have to speak the same.
    """
    languages = list(dict.fromkeys(one.look.language for one in on_offer))
    if not languages:
        return None
    language = preferred(request.headers.get("accept-language", ""), languages)
    return next(one.look for one in on_offer if one.look.language == language)


def _offers(site: Site) -> list[Offer]:
    with site.app.database.read() as session:
        return offers(session, site.app.publisher)


def _offer(site: Site, request: Request) -> Offer:
    """The newsletter in the path. Compared here: what a path may hold, a database may not."""
    slug = request.path_params["slug"]
    for one in _offers(site):
        if one.look.slug == slug:
            return one
    raise HTTPException(404)
