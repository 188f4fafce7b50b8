"""Serves /confirm/{token}: a page with one button, which confirms a sign-up."""

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mailer.subscribers.confirmation import SignupState, SignupView, confirm
from mailer.tokens import Purpose
from mailer.web.base import app_of, origin_of, public_id_of, render_page
from mailer.web.signup_page import linked_signup

_TEMPLATES: Final = {SignupState.WAITING: "confirm", SignupState.CONFIRMED: "confirmed"}


def show(request: Request) -> Response:
    """Show the page with the button; changes nothing."""
    return _answer(request, linked_signup(request, Purpose.CONFIRM))


def act(request: Request) -> Response:
    """Confirm the sign-up, because the button was pressed. The body does not matter."""
    app, public_id = app_of(request), public_id_of(request, Purpose.CONFIRM)
    if public_id is None:
        return _answer(request, None)
    origin = origin_of(request, "/confirm")
    with app.database.write() as session:
        view = confirm(session, app.publisher, public_id, origin, random=secrets.token_bytes)
    return _answer(request, view)


def _answer(request: Request, view: SignupView | None) -> Response:
    state = SignupState.EXPIRED if view is None else view.state
    template = _TEMPLATES.get(state, "confirm_gone")
    return render_page(
        request,
        template,
        look=view.look if view else None,
        status=410 if template == "confirm_gone" else 200,
        state=state.value,
        slugs=view.slugs if view else (),
        titles=view.titles if view else (),
        changes_address=view is not None and view.changes_address,
    )
