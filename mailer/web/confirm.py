"""/confirm/{token}: a page with one button, and the act."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import ExpiredToken
from mailer.subscribers.confirmation import SignupState, SignupView, confirm
from mailer.tokens import Purpose
from mailer.web.signup_link import signup_behind
from mailer.web.site import site_of


def show(request: Request) -> Response:
    """The page with the button; changes nothing."""
    return _answer(request, signup_behind(request, Purpose.CONFIRM))


async def act(request: Request) -> Response:
    """The button was pressed. The body does not matter."""
    return await run_in_threadpool(_act, request)


def _act(request: Request) -> Response:
    site = site_of(request)
    try:
        public_id = site.public_id(request, Purpose.CONFIRM)
    except ExpiredToken:
        return _answer(request, None)
    with site.app.database.write() as session:
        view = confirm(
            session,
            site.app.publisher,
            public_id,
            site.origin(request, "/confirm"),
            random=site.app.signup_context.random,
            now=site.app.times.wall(),
        )
    return _answer(request, view)


def _answer(request: Request, view: SignupView | None) -> Response:
    state = SignupState.EXPIRED if view is None else view.state
    template = _TEMPLATES.get(state, "confirm_gone")
    return site_of(request).page(
        template,
        request=request,
        look=view.look if view else None,
        status=410 if template == "confirm_gone" else 200,
        state=state.value,
        slugs=view.slugs if view else (),
        titles=view.titles if view else (),
    )


_TEMPLATES = {SignupState.WAITING: "confirm", SignupState.CONFIRMED: "confirmed"}
