"""The sign-up behind a link of a confirmation mail, as both its pages show it. Only reads."""

from starlette.requests import Request

from mailer.errors import ExpiredToken
from mailer.subscribers.confirmation import SignupView, read_signup
from mailer.tokens import Purpose
from mailer.web.site import site_of


def signup_behind(request: Request, purpose: Purpose) -> SignupView | None:
    """The sign-up that the path's token names; None where its time is over or it was deleted.

    Raises:
        BadToken: the token was not made here for this purpose.
    """
    site = site_of(request)
    try:
        public_id = site.public_id(request, purpose)
    except ExpiredToken:
        return None
    with site.app.database.read() as session:
        return read_signup(session, site.app.publisher, public_id, now=site.app.times.wall())
