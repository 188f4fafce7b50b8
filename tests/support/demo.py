"""The demo's own pages on loopback, with a stand-in for the pages of the form."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from mailer.demo.inbox_pages import Addresses, Backstage, InboxPages
from mailer.demo.mailbox import Mailbox, Sink
from mailer.demo.newsroom import Newsroom
from mailer.demo.servers import Servers, bind, origin, port_of
from mailer.demo.site import Site


@dataclass(frozen=True)
class Demo:
    """What runs, and what was posted to the form."""

    mailbox: Mailbox
    newsroom: Newsroom
    addresses: Addresses
    embed: str
    posted: list[dict[str, str]] = field(default_factory=list)

    def deliver(
        self, subject: str = "News", html: str | None = "<h1>News</h1>", text: str = "Hello\n"
    ) -> None:
        mail = EmailMessage()
        mail["From"] = "The Harbour Gazette <news@gazette.example>"
        mail["To"] = "anna@reader.example"
        mail["Subject"] = subject
        mail["List-Unsubscribe"] = f"<{self.addresses.form}/unsubscribe/t>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(text)
        if html is not None:
            mail.add_alternative(html, subtype="html")
        self.mailbox.deliver("bounce@gazette.example", "anna@reader.example", mail.as_bytes())


@contextmanager
def opened(next_in: timedelta) -> Iterator[Demo]:
    """The demo with seven pieces, whose next digest is always so far away."""
    with bind(0) as form, bind(0) as paper, bind(0) as desk, bind(0) as smtp:
        addresses = Addresses(origin(form), origin(paper), origin(desk), port_of(smtp))
        newsroom = Newsroom(addresses.paper)
        newsroom.open_with(7, datetime.now(UTC))
        embed = (
            f'<form method="post" action="{addresses.form}/subscribe"><label>Your e-mail address '
            '<input type="email" name="email"></label><button>Subscribe</button></form>'
        )
        demo = Demo(Mailbox(), newsroom, addresses, embed)

        async def page(request: Request) -> HTMLResponse:
            if request.method == "POST":
                sent = {name: str(value) for name, value in (await request.form()).items()}
                demo.posted.append({"path": request.url.path, **sent})
            return HTMLResponse("<title>The form's page</title>")

        pages = Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])])
        backstage = Backstage("/tmp/mailer-demo-x", ["mailer init", "mailer run"])
        desk_pages = InboxPages(
            addresses, demo.mailbox, newsroom, backstage, lambda now: now + next_in
        )
        paper_pages = Site(newsroom, addresses.form, embed)
        served = [(form, pages), (paper, paper_pages.app()), (desk, desk_pages.app())]
        servers = Servers(served, (smtp, Sink(demo.mailbox)))
        servers.start()
        yield demo
        servers.stop()
