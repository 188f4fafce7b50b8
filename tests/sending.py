"""Senders for tests: how they are configured, and running one in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from mailer.delivery.relay import RelayConfig
from mailer.delivery.retry import RetryPlan
from mailer.delivery.send import SendConfig, Sender

BASE_URL = "https://news.example"


def config(port: int, **changes: object) -> SendConfig:
    """How the senders of these tests send: to a relay on loopback, and soon again."""
    plain = SendConfig(
        relay=RelayConfig("127.0.0.1", port, "news.example"),
        retry=RetryPlan((timedelta(hours=1),), timedelta(hours=48)),
        connections=4,
        lease_seconds=60,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@contextmanager
def sending(sender: Sender) -> Iterator[Sender]:
    """A sender that runs in a thread, and drains at the end."""
    stop = threading.Event()
    fault: list[BaseException] = []

    def run() -> None:
        try:
            sender.run(stop)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sender
    finally:
        stop.set()
        sender.wake()
        thread.join(40)
    assert not thread.is_alive()
    assert not fault, fault
