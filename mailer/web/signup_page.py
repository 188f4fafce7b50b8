"""Reads the sign-up behind a link of a confirmation mail, for `/confirm` and `/not-me`. Never writes."""

from starlette.requests import Request

from mailer.subscribers.confirmation import SignupView, read_signup
from mailer.tokens import Purpose
from mailer.web.base import app_of, public_id_of


def linked_signup(request: Request, purpose: Purpose) -> SignupView | None:
    """Return the sign-up that the path's token names; None if it has expired or was purged.

    Raises:
        BadToken: the token was not made here for this purpose.
    """
    app, public_id = app_of(request), public_id_of(request, purpose)
    if public_id is None:
        return None
    with app.database.read() as session:
        return read_signup(session, app.publisher, public_id, now=app.times.wall())
