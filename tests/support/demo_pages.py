"""Serves the demo's own pages on loopback, with a stand-in for the pages of the form."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from mailer.demo.inbox_pages import Addresses, InboxPages
from mailer.demo.mailbox import Mailbox
from mailer.demo.newspaper import newspaper_app
from mailer.demo.newsroom import Newsroom
from mailer.demo.servers import Servers, bind, origin, port_of


@dataclass(frozen=True)
class DemoPages:
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
def opened(next_in: timedelta) -> Iterator[DemoPages]:
    """The demo with seven articles, whose next digest is always so far away."""
    with bind(0) as form, bind(0) as newspaper, bind(0) as pages, bind(0) as smtp:
        addresses = Addresses(origin(form), origin(newspaper), origin(pages), port_of(smtp))
        newsroom = Newsroom(addresses.newspaper)
        newsroom.open_with(7, datetime.now(UTC))
        embed = (
            f'<form method="post" action="{addresses.form}/subscribe"><label>Your e-mail address '
            '<input type="email" name="email"></label><button>Subscribe</button></form>'
        )
        demo = DemoPages(Mailbox(), newsroom, addresses, embed)

        async def page(request: Request) -> HTMLResponse:
            if request.method == "POST":
                sent = {name: str(value) for name, value in (await request.form()).items()}
                demo.posted.append({"path": request.url.path, **sent})
            return HTMLResponse("<title>The form's page</title>")

        form_pages = Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])])
        inbox_pages = InboxPages(
            addresses,
            demo.mailbox,
            newsroom,
            lambda now: now + next_in,
            folder="/tmp/mailer-demo-x",
            typed=["mailer init", "mailer run"],
        )
        site = newspaper_app(newsroom, addresses.form, embed)
        apps = {form: form_pages, newspaper: site, pages: inbox_pages.app()}
        servers = Servers(apps, smtp, demo.mailbox)
        servers.start()
        yield demo
        servers.stop()
