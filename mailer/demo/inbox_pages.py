"""The demo's desk: a start page that links everything, and the local inbox.

Mails are shown the way mail programs show them: foreign HTML only inside a sandboxed frame, from a
route whose policy lets nothing load but the newsroom's pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mailer.demo.articles import PAPER
from mailer.demo.mailbox import Mailbox, ReceivedMail
from mailer.demo.newsroom import Newsroom
from mailer.demo.static import render, static

VIEWS = ("html", "text", "source", "headers")
SOURCE_SHOWN = 60_000
"""How many characters of a mail's source a page shows."""


@dataclass(frozen=True)
class Addresses:
    """Where everything of one demo is: origins without a final slash, and the inbox's SMTP port."""

    form: str
    paper: str
    desk: str
    smtp_port: int


@dataclass(frozen=True)
class Backstage:
    """What the start page tells about the program behind it: where it lives and what was typed."""

    folder: str
    commands: Sequence[str]


class InboxPages:
    """The pages of the desk.

    Args:
        addresses: where the other parts are.
        mailbox: the mails to show.
        newsroom: what is published so far.
        backstage: for the foot of the start page.
        next_slot: gives the first slot after an instant (aware UTC), or None when not known yet.
    """

    def __init__(
        self,
        addresses: Addresses,
        mailbox: Mailbox,
        newsroom: Newsroom,
        backstage: Backstage,
        next_slot: Callable[[datetime], datetime | None],
    ) -> None:
        self._addresses = addresses
        self._mailbox = mailbox
        self._newsroom = newsroom
        self._backstage = backstage
        self._next_slot = next_slot
        self._policy = (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
            f"img-src 'self'; frame-src 'self'; form-action {addresses.form}; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        # Without allow-same-origin the mail has an origin of its own, and without allow-scripts or
        # allow-forms it can only be looked at; links open outside the sandbox, as in a mail program.
        self._mail_policy = (
            f"default-src 'none'; img-src {addresses.paper}; style-src 'unsafe-inline'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
            "sandbox allow-popups allow-popups-to-escape-sandbox"
        )

    def app(self) -> Starlette:
        """The desk as an ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._start),
                Route("/inbox", self._inbox),
                Route("/inbox/{number:int}", self._inbox),
                Route("/mail/{number:int}.html", self._body),
                Route("/state", self._state),
                Route("/desk.css", static("desk.css")),
                Route("/desk.js", static("desk.js")),
                Route("/icon.svg", static("icon.svg")),
            ]
        )

    def _page(self, name: str, **context: object) -> HTMLResponse:
        now = datetime.now(UTC)
        mails = self._mailbox.mails()
        html = render(
            name,
            paper=PAPER,
            addresses=self._addresses,
            mails=mails[::-1],
            due=self._next_slot(now),
            now=now,
            pieces=self._newsroom.pieces(),
            version=self._version(),
            **context,
        )
        return HTMLResponse(html, headers=_headers(self._policy))

    def _version(self) -> str:
        """Differs whenever a page of the desk would look different."""
        return f"{len(self._mailbox.mails())}-{len(self._newsroom.pieces())}"

    def _start(self, request: Request) -> Response:
        return self._page("start.html", backstage=self._backstage)

    def _inbox(self, request: Request) -> Response:
        number = request.path_params.get("number")
        mail = None if number is None else self._find(number)
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
        mail = self._find(request.path_params["number"])
        if mail.html is None:
            raise HTTPException(404, "This mail has no HTML part.")
        # A base element makes links open in a new tab; the mail's own markup stays as it came.
        html = '<base target="_blank">' + mail.html
        head = mail.html.lower().find("<head>")
        if head >= 0:
            after = head + len("<head>")
            html = mail.html[:after] + '<base target="_blank">' + mail.html[after:]
        return HTMLResponse(html, headers=_headers(self._mail_policy))

    def _state(self, request: Request) -> Response:
        return JSONResponse({"version": self._version()}, headers={"Cache-Control": "no-store"})

    def _find(self, number: int) -> ReceivedMail:
        mail = self._mailbox.mail(number)
        if mail is None:
            raise HTTPException(404, "There is no such mail in this inbox.")
        return mail


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _source(mail: ReceivedMail) -> str:
    source = mail.raw.decode("ascii", "backslashreplace").replace("\r\n", "\n")
    if len(source) > SOURCE_SHOWN:
        return source[:SOURCE_SHOWN] + f"\n… and {len(source) - SOURCE_SHOWN} characters more"
    return source
