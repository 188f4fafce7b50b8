"""/review/{token}: staff stop a digest that they were shown, or send it now: a page, a button, and the act.

The link says which of the two it is. Nothing is built here: the scheduler does that, in a moment.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailer.digests.staff_mail import review
from mailer.digests.staff_mail.review import ReviewView
from mailer.errors import BadToken, ExpiredToken, NotFound
from mailer.tokens import Purpose
from mailer.web.site import site_of


def show(request: Request) -> Response:
    """The page with the button; changes nothing."""
    return _answer(request, press=False)


async def act(request: Request) -> Response:
    """The button was pressed. The body does not matter."""
    return await run_in_threadpool(_answer, request, press=True)


def _answer(request: Request, *, press: bool) -> Response:
    site = site_of(request)
    try:
        link_id = site.public_id(request, Purpose.REVIEW)
    except ExpiredToken:
        return site.page("review_over", request=request, status=410)
    app = site.app
    now = app.times.wall()
    try:
        if press:
            with app.database.write() as session:
                review.answer(session, link_id, now=now)
        with app.database.read() as session:
            view = review.read_review(session, link_id, publisher=app.settings.publisher, now=now)
    except NotFound as error:
        raise BadToken from error
    return _page(request, view)


def _page(request: Request, view: ReviewView) -> Response:
    return site_of(request).page(
        "review",
        request=request,
        look=view.look,
        act=view.act.name.lower(),
        state=view.state.value,
        schedule=view.schedule,
        date=view.at.date(),
        at=view.at.strftime("%H:%M"),
    )
