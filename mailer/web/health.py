"""/healthz says that the process lives, /readyz that it can work: schema current, database reachable."""

import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailer import schema
from mailer.errors import MailerError
from mailer.web.site import site_of

log = logging.getLogger(__name__)


async def alive(_request: Request) -> Response:
    """Whoever can answer lives. Needs no thread, because all may be waiting for the database."""
    return PlainTextResponse("ok\n")


def ready(request: Request) -> Response:
    """Asks the database; why it is not ready stands in the log only."""
    app = site_of(request).app
    try:
        schema.check(app.database, app.keys.fingerprint())
    except (MailerError, SQLAlchemyError) as error:
        log.warning("not ready: %s", error)
        return PlainTextResponse("not ready\n", 503, {"Retry-After": "10"})
    return PlainTextResponse("ready\n")
