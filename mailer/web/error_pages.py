"""Answers a request that failed: a bad link, too many requests, no database, or a defect of ours.

Never says what the cause was, which goes to the log, nor depends on what was asked for.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from mailer.db import explain
from mailer.errors import BadToken
from mailer.subscribers.signup_limits import TooManySignups
from mailer.web.base import render_page

log = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 30


def handlers() -> dict[type[Exception], Callable[[Request, Any], Response]]:
    """Return which function answers which exception."""
    return {
        HTTPException: _by_status,
        BadToken: lambda request, _: error_answer(request, 404),
        TooManySignups: _too_many,
        SQLAlchemyError: _database,
        # The client is gone, and nobody reads the answer.
        ClientDisconnect: lambda *_: Response(status_code=400),
        Exception: lambda request, _: error_answer(request, 500),
    }


def _by_status(request: Request, error: HTTPException) -> Response:
    if error.status_code != 405:
        return error_answer(request, error.status_code)
    # A path has one route for reading and one for acting, and each knows its own methods only.
    allowed = {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }
    return error_answer(request, 405, {"Allow": ", ".join(sorted(allowed))})


def _too_many(request: Request, error: TooManySignups) -> Response:
    seconds = max(1, math.ceil(error.retry_after.total_seconds()))
    return error_answer(request, 429, {"Retry-After": str(seconds)})


def _database(request: Request, error: SQLAlchemyError) -> Response:
    reason = explain(error)
    if reason is None and not isinstance(error, NoConnection):
        raise error
    log.warning("answered 503: %s", reason or "all connections to the database are in use")
    return error_answer(request, 503, {"Retry-After": str(_BUSY_SECONDS)})


def error_answer(request: Request, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return the page, or for programs the JSON, that says what this status means."""
    if request.url.path.startswith(("/api/", "/webhooks/")):
        return JSONResponse({"error": _MESSAGES.get(status, "bad request")}, status, headers)
    return render_page(request, "fault", status=status, headers=headers, fault=status)


_MESSAGES: Final = {
    404: "not found",
    405: "method not allowed",
    413: "the body is too large",
    429: "too many sign-ups from this network; try again later",
    500: "something went wrong",
    503: "cannot save anything right now; try again later",
}
