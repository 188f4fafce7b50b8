"""Serves /healthz, whether the process lives, and /readyz, whether its database is reachable and current."""

import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailer import schema
from mailer.errors import MailerError
from mailer.web.base import app_of

log = logging.getLogger(__name__)


async def alive(_request: Request) -> Response:
    """Say that the process lives. Needs no thread, because all may be waiting for the database."""
    return PlainTextResponse("ok\n")


def ready(request: Request) -> Response:
    """Check the database; only the log says why it is not ready."""
    app = app_of(request)
    try:
        schema.check(app.database, app.keys.fingerprint())
    except (MailerError, SQLAlchemyError) as error:
        log.warning("not ready: %s", error)
        return PlainTextResponse("not ready\n", 503, {"Retry-After": "10"})
    return PlainTextResponse("ready\n")
