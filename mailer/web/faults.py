"""Answers where something is wrong: bad links, too much at once, no database, or a defect of ours.

They are the same whatever was asked for, and say nothing of what is behind them; that goes to the log.
"""

import logging
import math
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from mailer.db import explain
from mailer.errors import BadToken
from mailer.subscribers.limits import TooManySignups
from mailer.web.site import site_of

log = logging.getLogger(__name__)

_BUSY_SECONDS = 30
_API = "/api/"


def handlers() -> dict[type[Exception], Callable[[Request, Exception], Response]]:
    """What answers which exception."""
    return {
        HTTPException: _by_status,
        BadToken: lambda request, _: fault(request, 404),
        TooManySignups: _too_many,
        SQLAlchemyError: _database,
        # Nobody is there to read the answer.
        ClientDisconnect: lambda *_: Response(status_code=400),
        Exception: lambda request, _: fault(request, 500),
    }


class SmallBodies:
    """The application `app`, which never sees a request that announces a body above `limit` bytes.

    Starlette would answer such a one in plain words of its own, whatever the page says.
    """

    def __init__(self, app: Starlette, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, or 413."""
        answer: ASGIApp = self._app
        if scope["type"] == "http":
            announced = Headers(scope=scope).get("content-length", "")
            if announced.isdecimal() and int(announced) > self._limit:
                scope["app"] = self._app
                answer = await run_in_threadpool(fault, Request(scope), 413)
        await answer(scope, receive, send)


def _by_status(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code != 405:
        return fault(request, error.status_code)
    # A path has one route for reading and one for acting, and each knows its own methods only.
    allowed = {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }
    return fault(request, 405, {"Allow": ", ".join(sorted(allowed))})


def _too_many(request: Request, error: Exception) -> Response:
    if not isinstance(error, TooManySignups):
        raise error
    seconds = max(1, math.ceil(error.retry_after.total_seconds()))
    return fault(request, 429, {"Retry-After": str(seconds)})


def _database(request: Request, error: Exception) -> Response:
    told = explain(error)
    if told is None and not isinstance(error, NoConnection):
        raise error
    log.warning("answered 503: %s", told or "all connections to the database are in use")
    return fault(request, 503, {"Retry-After": str(_BUSY_SECONDS)})


def fault(request: Request, status: int, headers: dict[str, str] | None = None) -> Response:
    """The page, or for programs the JSON, that says what this status means."""
    if request.url.path.startswith(_API):
        return JSONResponse({"error": _WORDS.get(status, "bad request")}, status, headers)
    return site_of(request).page(
        "error", request=request, status=status, headers=headers, fault=status
    )


_WORDS = {
    404: "there is nothing here",
    405: "this method is not allowed here",
    413: "the body is too large",
    429: "too many sign-ups from this network; try again later",
    500: "something went wrong",
    503: "nothing can be written at present; try again later",
}
