"""/not-me/{token}: for somebody whose address another person typed: a page with one button, and the act."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import ExpiredToken
from mailer.subscribers.confirmation import SignupState, SignupView, cancel_signup
from mailer.tokens import Purpose
from mailer.web.signup_link import signup_behind
from mailer.web.site import site_of


def show(request: Request) -> Response:
    """The page with the button; changes nothing."""
    return _answer(request, signup_behind(request, Purpose.NOT_ME))


async def act(request: Request) -> Response:
    """The button was pressed. The body does not matter."""
    return await run_in_threadpool(_act, request)


def _act(request: Request) -> Response:
    site = site_of(request)
    try:
        public_id = site.public_id(request, Purpose.NOT_ME)
    except ExpiredToken:
        return _answer(request, None)
    with site.app.database.write() as session:
        view = cancel_signup(
            session,
            site.app.publisher,
            public_id,
            site.origin(request, "/not-me"),
            now=site.app.times.wall(),
        )
    return _answer(request, view)


def _answer(request: Request, view: SignupView | None) -> Response:
    site = site_of(request)
    if view is None:
        return site.page("not_me_gone", request=request, status=410)
    done = view.state is SignupState.DROPPED
    return site.page(
        "not_me_done" if done else "not_me", look=view.look, request=request, titles=view.titles
    )
