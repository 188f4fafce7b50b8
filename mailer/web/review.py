"""Serves /review/{token}: a page with one button, by which staff stop a digest or send it now.

The link says which of the two. Never builds a digest: the scheduler does that a moment later.
"""

from starlette.requests import Request
from starlette.responses import Response

from mailer.digests.staff_mail import review
from mailer.errors import BadToken, NotFound
from mailer.tokens import Purpose
from mailer.web.base import app_of, public_id_of, render_page


def show(request: Request) -> Response:
    """Show the page with the button; changes nothing."""
    return _answer(request, press=False)


def act(request: Request) -> Response:
    """Stop or send the digest, because the button was pressed. The body does not matter."""
    return _answer(request, press=True)


def _answer(request: Request, *, press: bool) -> Response:
    app, link_id = app_of(request), public_id_of(request, Purpose.REVIEW)
    if link_id is None:
        return render_page(request, "review_over", status=410)
    now = app.times.wall()
    try:
        if press:
            with app.database.write() as session:
                review.answer(session, link_id, now=now)
        with app.database.read() as session:
            view = review.read_review(session, link_id, publisher=app.settings.publisher, now=now)
    except NotFound as error:
        raise BadToken from error
    return render_page(
        request,
        "review",
        look=view.look,
        act=view.act.name.lower(),
        state=view.state.value,
        schedule=view.schedule,
        date=view.at.date(),
        at=view.at.strftime("%H:%M"),
    )
