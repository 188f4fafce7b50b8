"""The web role: pages for readers, one for staff, and a small API for sign-ups. One file per page action.

A GET reads and never changes anything; a POST is one write transaction, and sends no mail itself.
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
    newsletters,
    not_me,
    preferences,
    review,
    style,
    subscribe,
    unsubscribe,
)
from mailer.web.concurrency import LimitConcurrency
from mailer.web.faults import SmallBodies, handlers
from mailer.web.headers import SecureHeaders
from mailer.web.site import Site

MAX_BODY_BYTES: Final = 65_536

ROUTES: Final = [
    Route("/", newsletters.home),
    Route("/subscribe/{slug}", newsletters.one_newsletter),
    Route("/subscribe", subscribe.by_form, methods=["POST"]),
    Route("/embed/{slug}", newsletters.embedded),
    Route("/embed/{slug}", subscribe.by_form, methods=["POST"]),
    Route("/api/subscribe", subscribe.by_json, methods=["POST"]),
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
    Route("/review/{token}", review.show),
    Route("/review/{token}", review.act, methods=["POST"]),
    Route("/style.css", style.sheet),
    Route("/style/{slug}.css", style.colors),
    Route("/healthz", health.alive),
    Route("/readyz", health.ready),
    Route("/metrics", metrics.show),
]


def make_app(app: App) -> ASGIApp:
    """The web application of the opened program `app`."""
    app = replace(app, database=app.database.for_requests())
    pages = Starlette(routes=ROUTES, exception_handlers=handlers(), max_body_size=MAX_BODY_BYTES)
    pages.router.redirect_slashes = False
    pages.state.site = Site(app)
    pages.state.metrics = metrics.Latest(app)
    bounded = LimitConcurrency(
        SmallBodies(pages, MAX_BODY_BYTES), pages, app.settings.trusted_proxies
    )
    return SecureHeaders(bounded, app.settings.embed_origins)
