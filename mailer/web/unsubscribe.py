"""/unsubscribe/{token}: a page with one button to leave and a choice of other schedules, and the act.

The link lives for ever and stands in every digest, also in one that was forwarded: so the page shows no
address and reaches one newsletter. Mail programs press the button themselves (RFC 8058): they get no redirect
and no cookie.
"""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailer.errors import BadToken
from mailer.newsletters.offer import several_zones
from mailer.permission.leave import leave
from mailer.subscribers.preferences import SubscriptionView, change_schedule, read_subscription
from mailer.tokens import Purpose
from mailer.web.site import fields_of, site_of


def show(request: Request) -> Response:
    """The page; changes nothing."""
    site = site_of(request)
    public_id = site.public_id(request, Purpose.UNSUBSCRIBE)
    with site.app.database.read() as session:
        found = read_subscription(session, site.app.publisher, public_id)
    return _page(request, found)


async def act(request: Request) -> Response:
    """Leave, or change the schedule; a body that asks for neither shows the page."""
    fields = await fields_of(request)
    return await run_in_threadpool(_act, request, fields)


def _act(request: Request, fields: Mapping[str, list[str]]) -> Response:
    site = site_of(request)
    one_click = "One-Click" in fields.get("List-Unsubscribe", ())
    if not one_click and "schedule" not in fields:
        return show(request)
    public_id = site.public_id(request, Purpose.UNSUBSCRIBE)
    origin, now = site.origin(request, "/unsubscribe"), site.app.times.wall()
    with site.app.database.write() as session:
        found = read_subscription(session, site.app.publisher, public_id)
        if found is not None and one_click:
            leave(session, found.subscription, origin, reason="reader", now=now)
            return site.page("unsubscribed", look=found.offer.look, request=request)
        if found is not None and not found.left:
            prefix = f"{found.offer.look.slug}/"
            option = found.offer.option(fields["schedule"][0].removeprefix(prefix))
            if option is not None:
                found = change_schedule(session, found, option, origin, now=now)
                return site.page(
                    "changed",
                    look=found.offer.look,
                    request=request,
                    option=option,
                    several_zones=several_zones([found.offer]),
                )
    return _page(request, found)


def _page(request: Request, found: SubscriptionView | None) -> Response:
    site = site_of(request)
    if found is None:
        raise BadToken
    if found.left:
        return site.page("unsubscribed", look=found.offer.look, request=request)
    return site.page(
        "unsubscribe",
        look=found.offer.look,
        request=request,
        place=found,
        several_zones=several_zones([found.offer]),
    )
