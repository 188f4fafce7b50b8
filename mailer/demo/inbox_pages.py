"""Serves the demo's own pages: a start page that links everything, and the local inbox.

Mails are shown as mail programs show them: foreign HTML only inside a sandboxed frame, from a route
whose policy loads nothing but the newspaper's pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mailer.demo.articles import NEWSPAPER
from mailer.demo.mailbox import Mailbox, ReceivedMail
from mailer.demo.newsroom import Newsroom
from mailer.demo.static import html, page, static

VIEWS = ("html", "text", "source", "headers")
SOURCE_SHOWN = 60_000
"""How many characters of a mail's source a page shows."""


@dataclass(frozen=True)
class Addresses:
    """Where everything of one demo is: origins without a final slash, and the inbox's SMTP port."""

    form: str
    newspaper: str
    pages: str
    smtp_port: int


class InboxPages:
    """The start page and the inbox.

    Args:
        addresses: where the other parts are.
        mailbox: the mails to show.
        newsroom: what is published so far.
        next_slot: gives the first slot after an instant (aware UTC), or None if it is not known yet.
        folder: where the installation is; the start page shows it, and
        typed: the commands so far.
    """

    def __init__(
        self,
        addresses: Addresses,
        mailbox: Mailbox,
        newsroom: Newsroom,
        next_slot: Callable[[datetime], datetime | None],
        *,
        folder: str,
        typed: Sequence[str],
    ) -> None:
        self._addresses = addresses
        self._mailbox = mailbox
        self._newsroom = newsroom
        self._next_slot = next_slot
        self._installation = {"folder": folder, "typed": typed}
        self._policy = (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
            f"img-src 'self'; frame-src 'self'; form-action {addresses.form}; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        # Without allow-same-origin the mail has an origin of its own, and without allow-scripts or
        # allow-forms it can only be looked at; links open outside the sandbox, as in a mail program.
        self._mail_policy = (
            f"default-src 'none'; img-src {addresses.newspaper}; style-src 'unsafe-inline'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
            "sandbox allow-popups allow-popups-to-escape-sandbox"
        )

    def app(self) -> Starlette:
        """Return the pages as an ASGI application."""
        files = ("pages.css", "pages.js", "icon.svg")
        return Starlette(
            routes=[
                Route("/", self._start),
                Route("/inbox", self._inbox),
                Route("/inbox/{number:int}", self._inbox),
                Route("/mail/{number:int}.html", self._body),
                Route("/state", self._state),
                *(Route(f"/{name}", static(name)) for name in files),
            ]
        )

    def _page(self, name: str, **context: object) -> Response:
        now = datetime.now(UTC)
        return page(
            name,
            self._policy,
            newspaper=NEWSPAPER,
            addresses=self._addresses,
            mails=self._mailbox.mails()[::-1],
            due=self._next_slot(now),
            now=now,
            articles=self._newsroom.articles(),
            version=self._version(),
            **context,
        )

    def _version(self) -> str:
        """Return what differs whenever one of these pages would look different."""
        return f"{len(self._mailbox.mails())}-{len(self._newsroom.articles())}"

    def _start(self, request: Request) -> Response:
        return self._page("start.html", **self._installation)

    def _inbox(self, request: Request) -> Response:
        mail = self._find(request) if "number" in request.path_params else None
        view = request.query_params.get("view", "html")
        if view not in VIEWS:
            raise HTTPException(404, "A mail has no such view.")
        return self._page(
            "inbox.html",
            mail=mail,
            view=view,
            views=VIEWS,
            phone=request.query_params.get("width") == "phone",
            source=_source(mail) if mail and view == "source" else "",
        )

    def _body(self, request: Request) -> Response:
        mail = self._find(request)
        if mail.html is None:
            raise HTTPException(404, "This mail has no HTML part.")
        # A base element makes links open in a new tab; the mail's own markup stays as it came.
        before, head, after = mail.html.partition("<head>")
        if not head:
            before, after = "", before
        return html(f'{before}{head}<base target="_blank">{after}', self._mail_policy)

    def _state(self, request: Request) -> Response:
        return JSONResponse({"version": self._version()}, headers={"Cache-Control": "no-store"})

    def _find(self, request: Request) -> ReceivedMail:
        mail = self._mailbox.mail(request.path_params["number"])
        if mail is None:
            raise HTTPException(404, "There is no such mail in this inbox.")
        return mail


def _source(mail: ReceivedMail) -> str:
    source = mail.raw.decode("ascii", "backslashreplace").replace("\r\n", "\n")
    if len(source) > SOURCE_SHOWN:
        return source[:SOURCE_SHOWN] + f"\n… and {len(source) - SOURCE_SHOWN} characters more"
    return source
