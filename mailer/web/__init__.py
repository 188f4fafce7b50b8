"""Makes the web role's application: readers' pages, one page for staff, and addresses for programs.

Each page has its file. A GET never changes anything; a POST is one write transaction, and sends no mail.
"""

from dataclasses import replace
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from mailer.app import App
from mailer.web import (
    confirm,
    health,
    metrics,
    not_me,
    personal_data,
    preferences,
    review,
    style,
    subscribe,
    unsubscribe,
    webhooks,
)
from mailer.web.amazon_sns import Get
from mailer.web.error_pages import handlers
from mailer.web.request_limits import LimitBodySize, LimitConcurrency
from mailer.web.security_headers import SecurityHeaders

MAX_BODY_BYTES: Final = 65_536

ROUTES: Final = [
    Route("/", subscribe.show_all),
    Route("/subscribe/{slug}", subscribe.show),
    Route("/subscribe", subscribe.submit, methods=["POST"]),
    Route("/embed/{slug}", subscribe.show),
    Route("/embed/{slug}", subscribe.submit, methods=["POST"]),
    Route("/api/subscribe", subscribe.submit_json, methods=["POST"]),
    Route("/confirm/{token}", confirm.show),
    Route("/confirm/{token}", confirm.act, methods=["POST"]),
    Route("/not-me/{token}", not_me.show),
    Route("/not-me/{token}", not_me.act, methods=["POST"]),
    Route("/unsubscribe/{token}", unsubscribe.show),
    Route("/unsubscribe/{token}", unsubscribe.act, methods=["POST"]),
    Route("/preferences", preferences.ask),
    Route("/preferences", preferences.send_link, methods=["POST"]),
    Route("/preferences/{token}", preferences.show),
    Route("/preferences/{token}", preferences.act, methods=["POST"]),
    Route("/data/{token}", personal_data.show_data),
    Route("/erase/{token}", personal_data.show_erase),
    Route("/erase/{token}", personal_data.act_erase, methods=["POST"]),
    Route("/review/{token}", review.show),
    Route("/review/{token}", review.act, methods=["POST"]),
    Route(
        "/webhooks/{provider}/{secret}",
        webhooks.receive,
        methods=["POST"],
        max_body_size=webhooks.MAX_BYTES,
    ),
    Route("/style.css", style.sheet),
    Route("/style/{slug}.css", style.colors),
    Route("/healthz", health.alive),
    Route("/readyz", health.ready),
    Route("/metrics", metrics.show),
]


def make_app(app: App, *, get: Get | None = None) -> ASGIApp:
    """Make the web application of the opened program `app`.

    Args:
        get: asks Amazon SNS for a document; by default over the network.
    """
    app = replace(app, database=app.database.for_requests())
    pages = Starlette(routes=ROUTES, exception_handlers=handlers(), max_body_size=MAX_BODY_BYTES)
    pages.router.redirect_slashes = False
    pages.state.app = app
    pages.state.metrics = metrics.CachedMetrics(app)
    pages.state.webhooks = webhooks.Webhooks(app, get)
    small = LimitBodySize(pages, MAX_BODY_BYTES, {webhooks.PATH: webhooks.MAX_BYTES})
    limited = LimitConcurrency(small, pages, app.settings.trusted_proxies)
    retried = webhooks.RetriedByBrevo(limited)
    return SecurityHeaders(retried, app.settings.embed_origins)
