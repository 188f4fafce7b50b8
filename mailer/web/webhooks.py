"""Serves /webhooks/{provider}/{secret}: what mail providers report about the mails that went through them.

A report is one write transaction, and changes nothing if its reference is not one of ours. Providers look at
the status alone: 200 ends their attempts, whether or not the event is known. docs/webhooks.md has a table of
the others, and how each provider tries again.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailer.app import App
from mailer.bounces.evidence import Evidence, record
from mailer.bounces.providers import brevo, mailgun, postmark, ses, sns
from mailer.bounces.providers.payload import BadPayload, NotAuthentic, read_json
from mailer.bounces.providers.provider_event import ProviderEvent
from mailer.text.english import pluralise
from mailer.web.amazon_sns import AmazonSns, AmazonUnreachable, Get
from mailer.web.base import app_of

log = logging.getLogger(__name__)

PATH: Final = "/webhooks/"
MAX_BYTES: Final = 1_048_576

_THREADS: Final = 4
"""How many reports are worked on at once, in threads of their own: readers' pages keep theirs."""

_AGAIN_SECONDS: Final = 30
_MOST_EVENTS: Final = 1000
"""Brevo sends at most 500 in one batch ("Batched webhooks")."""


class Webhooks:
    """What all requests to webhooks share.

    Args:
        get: asks Amazon SNS for a document.
    """

    def __init__(self, app: App, get: Get | None = None) -> None:
        self.sns = AmazonSns() if get is None else AmazonSns(get)
        self.threads = CapacityLimiter(_THREADS)
        self._app = app

    def take(self, provider: str, body: bytes) -> Response:
        """Record what is in this body, and answer."""
        try:
            events = self._events(provider, read_json(body))
        except BadPayload:
            log.warning("refused a request to the webhook of %s: it is no JSON object", provider)
            return JSONResponse({"error": "the body must be a JSON object"}, 400)
        except NotAuthentic as error:
            log.warning("refused a request to the webhook of %s: %s", provider, error)
            return JSONResponse({"error": "this was not signed by the provider for us"}, 403)
        except AmazonUnreachable as error:
            log.warning("could not ask Amazon SNS, which will try again: %s", error)
            headers = {"Retry-After": str(_AGAIN_SECONDS)}
            return JSONResponse({"error": "Amazon SNS cannot be asked right now"}, 503, headers)
        for event in events:
            if not event.is_known:
                log.warning("%s reported an event that is not known: %s", provider, event.name)
        self._record(provider, [one for event in events for one in event.evidence])
        return JSONResponse({"status": "ok"})

    def _events(self, provider: str, payload: object) -> Sequence[ProviderEvent]:
        """Read the events in a payload.

        Raises:
            BadPayload: it is no object.
            NotAuthentic: it is not from the provider.
            AmazonUnreachable: that cannot be checked now.
        """
        now = self._app.times.wall()
        if provider == "brevo" and isinstance(payload, list):
            # "Batched webhooks" of Brevo.
            return [brevo.read_event(one, now=now) for one in payload[:_MOST_EVENTS]]
        if not isinstance(payload, dict):
            raise BadPayload
        if provider == "ses":
            return self._of_ses(payload)
        if provider == "mailgun":
            mailgun.check_signature(payload, self._key(provider), now=now)
            return [mailgun.read_event(payload, now=now)]
        if provider == "postmark":
            return [postmark.read_event(payload, now=now)]
        return [brevo.read_event(payload, now=now)]

    def _of_ses(self, payload: object) -> Sequence[ProviderEvent]:
        now = self._app.times.wall()
        message = sns.read_message(payload, self._key("ses"))
        sns.verify(message, self.sns.certificate(message.certificate_url), now=now)
        if message.kind == sns.SUBSCRIPTION:
            self.sns.confirm(message.subscribe_url)
            log.info("confirmed the subscription to the topic of Amazon SNS")
            return ()
        if message.kind == sns.UNSUBSCRIPTION:
            log.warning("the subscription to the topic of Amazon SNS was ended, at Amazon")
            return ()
        if ses.is_topic_test(message.text):
            return ()
        try:
            return [ses.read_event(read_json(message.text), now=now)]
        except BadPayload:
            return [ProviderEvent("(no JSON)", is_known=False)]

    def _key(self, provider: str) -> str:
        key = self._app.settings.webhook_keys[provider]
        # The settings have refused it without a key.
        return "" if key is None else key.reveal()

    def _record(self, provider: str, evidence: Sequence[Evidence]) -> None:
        named = [one for one in evidence if one.references]
        if unnamed := len(evidence) - len(named):
            log.warning(
                "%s reported about %s without our reference; docs/webhooks.md says what to switch on",
                provider,
                pluralise(unnamed, "mail"),
            )
        if not named:
            return
        now = self._app.times.wall()
        with self._app.database.write() as session:
            unknown = record(session, named, self._app.keys, now=now).unknown
        if unknown:
            told = pluralise(unknown, "mail that is not ours", "mails that are not ours")
            log.warning("%s reported about %s", provider, told)


async def receive(request: Request) -> Response:
    """Take a report.

    Raises:
        HTTPException: the provider is not named in `webhook_keys`, or the secret is not its own.
        TypeError: the application was not made by `make_app`.
    """
    provider, secret = request.path_params["provider"], request.path_params["secret"]
    app = app_of(request)
    is_named = provider in app.settings.webhook_keys
    if not is_named or not app.keys.is_webhook_secret(provider, secret):
        raise HTTPException(404)
    webhooks = request.app.state.webhooks
    if not isinstance(webhooks, Webhooks):
        raise TypeError("the application was not made by make_app")
    body = await request.body()
    take = partial(webhooks.take, provider, body)
    return await to_thread.run_sync(take, limiter=webhooks.threads)


class RetriedByBrevo:
    """Wraps the application, and answers Brevo 429 where others get an error of the server.

    Brevo tries again only after 429, and drops the event after any other error ("Retry mechanism").
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, or 429."""
        if scope["type"] != "http" or not scope["path"].startswith(f"{PATH}brevo/"):
            await self._app(scope, receive, send)
            return

        async def send_retried(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 500:
                headers = [pair for pair in message["headers"] if pair[0] != b"retry-after"]
                again = (b"retry-after", str(_AGAIN_SECONDS).encode())
                message = {**message, "status": 429, "headers": [*headers, again]}
            await send(message)

        await self._app(scope, receive, send_retried)
