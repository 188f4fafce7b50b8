"""Serves /unsubscribe/{token}: a page with one button to unsubscribe, and a choice of other schedules.

The link never expires and stands in every digest, also in a forwarded one: so the page shows no address and
reaches one newsletter. Mail programs press the button themselves (RFC 8058): they get no redirect and no
cookie.
"""

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import BadToken
from mailer.newsletters.offer import Option, several_zones
from mailer.permission.leave import leave
from mailer.subscribers.preferences import SubscriptionView, change_schedule, read_subscription
from mailer.tokens import Purpose
from mailer.web.base import Fields, app_of, origin_of, public_id_of, render_page, with_fields


def show(request: Request) -> Response:
    """Show the page; changes nothing."""
    with app_of(request).database.read() as session:
        view = _view(request, session)
    return _answer(request, view)


@with_fields
def act(request: Request, fields: Fields) -> Response:
    """Unsubscribe, or change the schedule; a body that asks for neither shows the page."""
    is_one_click = "One-Click" in fields.get("List-Unsubscribe", ())
    if not is_one_click and "schedule" not in fields:
        return show(request)
    origin, option = origin_of(request, "/unsubscribe"), None
    with app_of(request).database.write() as session:
        view = _view(request, session)
        if is_one_click:
            leave(session, view.subscription, origin, reason="reader")
        elif not view.left:
            option = view.offer.option(fields["schedule"][0])
            if option is not None:
                view = change_schedule(session, view, option, origin)
    return _answer(request, view, unsubscribed=is_one_click, changed_to=option)


def _view(request: Request, session: Session) -> SubscriptionView:
    """Read the subscription that the path's token names.

    Raises:
        BadToken: the token was not made here for this purpose, or the subscription is gone.
    """
    public_id = public_id_of(request, Purpose.UNSUBSCRIBE)
    view = public_id and read_subscription(session, app_of(request).publisher, public_id)
    if not view:
        raise BadToken
    return view


def _answer(
    request: Request,
    view: SubscriptionView,
    *,
    unsubscribed: bool = False,
    changed_to: Option | None = None,
) -> Response:
    look, zones = view.offer.look, several_zones([view.offer])
    if unsubscribed or view.left:
        return render_page(request, "unsubscribed", look=look)
    if changed_to is not None:
        return render_page(request, "changed", look=look, option=changed_to, several_zones=zones)
    return render_page(request, "unsubscribe", look=look, place=view, several_zones=zones)
