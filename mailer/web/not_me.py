"""Serves /not-me/{token}: a page with one button, for a person whose address somebody else typed."""

from starlette.requests import Request
from starlette.responses import Response

from mailer.subscribers.confirmation import SignupState, SignupView, cancel_signup
from mailer.tokens import Purpose
from mailer.web.base import app_of, origin_of, public_id_of, render_page
from mailer.web.signup_page import linked_signup


def show(request: Request) -> Response:
    """Show the page with the button; changes nothing."""
    return _answer(request, linked_signup(request, Purpose.NOT_ME))


def act(request: Request) -> Response:
    """Cancel the sign-up, because the button was pressed. The body does not matter."""
    app, public_id = app_of(request), public_id_of(request, Purpose.NOT_ME)
    if public_id is None:
        return _answer(request, None)
    origin = origin_of(request, "/not-me")
    with app.database.write() as session:
        view = cancel_signup(session, app.publisher, public_id, origin)
    return _answer(request, view)


def _answer(request: Request, view: SignupView | None) -> Response:
    if view is None:
        return render_page(request, "not_me_gone", status=410)
    template = "not_me_done" if view.state is SignupState.DROPPED else "not_me"
    return render_page(request, template, look=view.look, titles=view.titles)
