"""A relay with TLS and logins: aiosmtpd, which remembers what was said to it."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "news", "s3cret-пароль"


class Handler:
    """Remembers what was said and received."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[bytes, bytes, bool]] = []

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.commands.append("EHLO")
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.commands.append("MAIL")
        envelope.mail_from = address
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.recipients += envelope.rcpt_tos
        return "250 ok"

    def authenticate(
        self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.logins.append((data.login, data.password, session.ssl is not None))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@contextmanager
def aiosmtpd_relay(port: int, **options: Any) -> Iterator[Handler]:
    """aiosmtpd on this port of loopback."""
    handler = Handler()
    options |= {"hostname": "127.0.0.1", "port": port, "authenticator": handler.authenticate}
    controller = Controller(handler, **options)
    # aiosmtpd leaves connections that broke off during TLS to the garbage collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        controller.start()
        try:
            yield handler
        finally:
            controller.stop()
            gc.collect()
