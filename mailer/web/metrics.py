"""Serves /metrics: the figures of the whole installation as Prometheus text. Never writes.

Every web process shows the same figures, because they come from the database.
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
from mailer.web.base import app_of
from mailer.web.client_address import client_ip

FRESH_SECONDS: Final = 5.0
"""For how long figures are shown again without asking the database: counting a million waiting mails takes
0.04 s, or half a second if PostgreSQL is busy and has not vacuumed since they came. Workers write their
figures as often as this, too."""

_NO_STORE: Final = {"Cache-Control": "no-store"}


def show(request: Request) -> Response:
    """Show the figures, or 401 or 403 with the reason in the body.

    Raises:
        TypeError: the application was not made by `make_app`.
    """
    token = app_of(request).settings.metrics_token
    if token is None:
        peer = request.client.host if request.client else None
        if not is_local(peer, request.headers.getlist("x-forwarded-for")):
            return PlainTextResponse(
                "only this machine may read /metrics; set metrics_token to read it from elsewhere\n",
                403,
                _NO_STORE,
            )
    elif not _has_token(request, token.reveal()):
        return PlainTextResponse(
            "/metrics needs `Authorization: Bearer` with the metrics_token\n",
            401,
            # RFC 6750 section 3.
            {**_NO_STORE, "WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    cached = request.app.state.metrics
    if not isinstance(cached, CachedMetrics):
        raise TypeError("the application was not made by make_app")
    return Response(cached.text(), headers={**_NO_STORE, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


class CachedMetrics:
    """The figures as text, read at most once in `FRESH_SECONDS` however many requests come at once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._text = b""
        self._fresh_until = float("-inf")

    def text(self) -> bytes:
        """Return the figures of now or of shortly before."""
        times = self._app.times
        with self._lock:
            if times.monotonic() >= self._fresh_until:
                lease = self._app.settings.lease
                with self._app.database.read() as session:
                    metrics = read_metrics(session, lease=lease, now=times.wall())
                self._text = generate_latest(_MetricsCollector(metrics))
                self._fresh_until = times.monotonic() + FRESH_SECONDS
            return self._text


class _MetricsCollector(Collector):
    """Gives the figures to the library."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Yield each figure with its name and its meaning."""
        figures = self._metrics
        oldest = {
            "delivery": figures.oldest_delivery.total_seconds(),
            "notice": figures.oldest_notice.total_seconds(),
        }
        deliveries = "Digest mails that are not finished, of digests that are not finished."
        notices = "Confirmations and other single mails that are not finished."
        due = "How long the longest-waiting mail that may be sent has been due."
        in_doubt = "Digest mails in doubt that nobody has decided about yet."
        connections = "Open connections of living workers to the relay."
        failing = "Feeds that cannot be fetched or read."
        yield _split("mailer_deliveries_waiting", deliveries, "status", figures.deliveries_waiting)
        yield _split("mailer_notices_waiting", notices, "status", figures.notices_waiting)
        yield _split("mailer_oldest_waiting_seconds", due, "kind", oldest)
        yield GaugeMetricFamily("mailer_in_doubt", in_doubt, figures.in_doubt)
        yield GaugeMetricFamily("mailer_paused", "1 while all sending is paused.", figures.paused)
        yield _split("mailer_digests", "Digests that are not finished.", "status", figures.digests)
        workers = "Processes with a heartbeat within the lease."
        yield _split("mailer_workers", workers, "role", figures.workers)
        yield GaugeMetricFamily("mailer_connections", connections, figures.connections)
        yield GaugeMetricFamily("mailer_feeds_failing", failing, figures.failing_feeds)
        came_back = "What came back of mails within the last day."
        yield _split("mailer_came_back", came_back, "kind", figures.came_back)
        attempts = "Attempts to send a mail, by outcome and reason."
        mails = CounterMetricFamily("mailer_mails", attempts, labels=("outcome", "reason"))
        # A rate needs its line from the start, at zero.
        counts = {("sent", "accepted"): 0} | dict(figures.mails)
        for labels, number in sorted(counts.items()):
            mails.add_metric(labels, number)
        yield mails


def _split(name: str, meaning: str, label: str, numbers: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for value, number in numbers.items():
        family.add_metric((value,), number)
    return family


def _has_token(request: Request, token: str) -> bool:
    """Return whether the request carries the token (RFC 6750 section 2.1)."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    # A header has been read as Latin-1, so this gives back its bytes.
    is_same = hmac.compare_digest(credentials.strip().encode("latin-1"), token.encode())
    return scheme.lower() == "bearer" and is_same


def is_local(peer: str | None, forwarded_for: Sequence[str]) -> bool:
    """Return whether the request came through this machine alone.

    The peer counts, and every address that a proxy named, even if `trusted_proxies` was forgotten: a proxy
    on this machine must not make the world look local.

    Args:
        peer: who opened the connection.
        forwarded_for: the values of all X-Forwarded-For headers.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    return all(is_loopback(client_ip(hop, (), ()) or "") for hop in (peer, *hops))
