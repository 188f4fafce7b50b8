"""/metrics: the figures of the whole installation as Prometheus text, for whoever may read them.

Only reads. Every web process tells the same figures, because they come from the database.
"""

import hmac
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailer.app import App
from mailer.monitoring.metrics import Metrics, read_metrics
from mailer.settings.parsers import is_loopback
from mailer.web.client import client_ip
from mailer.web.site import site_of

FRESH_SECONDS: Final = 5.0
"""How long figures are told again without asking the database: to count a million mails that wait takes it
0.04 s, or half a second where PostgreSQL is busy and has not vacuumed since they came. Workers write
theirs down as often as this, too."""

_NO_STORE: Final = {"Cache-Control": "no-store"}


def show(request: Request) -> Response:
    """The figures, or 401 or 403 with the reason in the body."""
    token = site_of(request).app.settings.metrics_token
    if token is None:
        peer = request.client.host if request.client else None
        if not is_local(peer, request.headers.getlist("x-forwarded-for")):
            return PlainTextResponse(
                "/metrics is told to this machine only; set metrics_token to read it from elsewhere\n",
                403,
                _NO_STORE,
            )
    elif not _shows(request, token.reveal()):
        return PlainTextResponse(
            "/metrics needs `Authorization: Bearer` with the metrics_token\n",
            401,
            # RFC 6750 section 3.
            {**_NO_STORE, "WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    latest = request.app.state.metrics
    if not isinstance(latest, Latest):
        raise TypeError("the application was not made by make_app")
    return Response(latest.text(), headers={**_NO_STORE, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


class Latest:
    """The figures as text, read at most once in `FRESH_SECONDS` however many ask at once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._text = b""
        self._fresh_until = float("-inf")

    def text(self) -> bytes:
        """The figures of now or of shortly before."""
        times = self._app.times
        with self._lock:
            if times.monotonic() >= self._fresh_until:
                with self._app.database.read() as session:
                    found = read_metrics(session, lease=self._app.settings.lease, now=times.wall())
                self._text = generate_latest(_Families(found))
                self._fresh_until = times.monotonic() + FRESH_SECONDS
            return self._text


class _Families(Collector):
    """The figures as the library wants them."""

    def __init__(self, figures: Metrics) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Each figure with its name and what it means."""
        found = self._figures
        yield _split(
            "mailer_deliveries_waiting",
            "Digest mails that are not finished, of digests that are not finished.",
            "status",
            found.deliveries_waiting,
        )
        yield _split(
            "mailer_notices_waiting",
            "Confirmations and other single mails that are not finished.",
            "status",
            found.notices_waiting,
        )
        yield _split(
            "mailer_oldest_waiting_seconds",
            "For how long the mail has been due that has been due longest, of those that may be sent.",
            "kind",
            {
                "delivery": found.oldest_delivery.total_seconds(),
                "notice": found.oldest_notice.total_seconds(),
            },
        )
        yield GaugeMetricFamily(
            "mailer_in_doubt",
            "Digest mails in doubt of which nobody has decided yet.",
            found.in_doubt,
        )
        yield GaugeMetricFamily("mailer_paused", "1 while all sending is paused.", found.paused)
        yield _split("mailer_digests", "Digests that are not finished.", "status", found.digests)
        yield _split(
            "mailer_workers", "Processes heard of within the lease.", "role", found.workers
        )
        yield GaugeMetricFamily(
            "mailer_connections",
            "Open connections of living workers to the relay.",
            found.connections,
        )
        yield GaugeMetricFamily(
            "mailer_feeds_failing", "Feeds that cannot be fetched or read.", found.failing_feeds
        )
        mails = CounterMetricFamily(
            "mailer_mails",
            "Attempts to send a mail, by what came of them and why.",
            labels=("outcome", "reason"),
        )
        # A rate of nothing is no rate: the line that rates are asked of is there from the start.
        for pair, number in sorted(({("sent", "accepted"): 0} | dict(found.mails)).items()):
            mails.add_metric(pair, number)
        yield mails


def _split(name: str, meaning: str, label: str, numbers: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for value, number in numbers.items():
        family.add_metric((value,), number)
    return family


def _shows(request: Request, token: str) -> bool:
    """Whether the request shows the token (RFC 6750 section 2.1)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # What a header holds has been read as Latin-1, so this gives back its bytes.
    same = hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
    return scheme.lower() == "bearer" and same


def is_local(peer: str | None, forwarded_for: Sequence[str]) -> bool:
    """Whether everybody the request came through is this machine.

    Whoever opened the connection counts, and every address that a proxy named, even where
    `trusted_proxies` is forgotten: a proxy on this machine must not make the world look local.

    Args:
        peer: who opened the connection.
        forwarded_for: the values of all X-Forwarded-For headers.
    """
    named = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    return all(is_loopback(client_ip(hop, (), ()) or "") for hop in (peer, *named))
