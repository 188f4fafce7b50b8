"""No log line holds an address or a token, in whatever form it gets there."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from mailer import logs
from mailer.tokens import Keys, Purpose
from mailer.web.security_headers import BEHIND_A_LINK

LOG = logging.getLogger("mailer.test")
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What is logged in the form of the parameter; the logging of the process is put back."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    stream = io.StringIO()
    logs.configure("info", request.param, stream)
    yield stream
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        "reader@example.com",
        "to=<reader@example.com>",
        '"reader@example.com"',
        "mail to reader@example.com: refused",
        "reader%40example.com",
        "/preferences?email=reader%40example.com&x=1",
        '"the reader"@example.com',
        "reader+tag@sub.example.com",
        "(reader@example.com)",
        "line\nreader@example.com",
    ],
)
def test_an_address_is_masked_wherever_it_stands(written: io.StringIO, text: str) -> None:
    LOG.info("told: %s", text, extra={"detail": text, "number": 7})
    LOG.warning(f"told: {text}")
    try:
        raise ValueError(text)
    except ValueError:
        LOG.exception("failed", stack_info=True)
    found = written.getvalue()
    assert "reader" not in found.replace("test_logs", "")
    assert found.count("example.com") >= 3


def test_letters_of_all_languages_are_masked(written: io.StringIO) -> None:
    LOG.info("told: %s", "ընթերցող@օրինակ.example")
    assert "նթերցող" not in written.getvalue()


@pytest.mark.parametrize("purpose", Purpose)
def test_a_token_is_masked_in_a_link_and_alone(
    written: io.StringIO, keys: Keys, purpose: Purpose
) -> None:
    token = keys.make(purpose, 0x7123_4567_89AB_CDEF, EXPIRES)
    for text in (
        token,
        f"/confirm/{token}",
        f"GET /unsubscribe/{token}?x=1 HTTP/1.1",
        f"({token})",
    ):
        LOG.info("told: %s", text)
    assert token[:8] not in written.getvalue()


@pytest.mark.parametrize("path", [*(path.strip("/") for path in BEHIND_A_LINK), "webhooks/ses"])
def test_even_a_cut_off_token_is_masked_in_a_link(written: io.StringIO, path: str) -> None:
    LOG.info("GET /%s/abc-DEF_1", path)
    assert "abc-DEF_1" not in written.getvalue()


def test_a_message_is_one_line(written: io.StringIO) -> None:
    text = "a\r\n2026-11-24 10:00:00,000 ERROR mailer.test: invented \x1b[2J\a\0\x9b\u202e"
    LOG.info("told: %s", text, extra={"detail": text})
    assert written.getvalue().removesuffix("\n").isprintable()


def test_of_what_a_stranger_makes_long_the_beginning_is_logged(written: io.StringIO) -> None:
    try:
        raise ValueError("x" * 100_000)
    except ValueError:
        LOG.exception("y" * 100_000, extra={"detail": "z" * 100_000})
    assert 20_000 < len(written.getvalue()) < 35_000


def test_a_line_of_json_is_one_object() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs._formatter("json"))
    handler.addFilter(logs.Masking())
    record = logging.makeLogRecord(
        {
            "name": "mailer.test",
            "levelname": "INFO",
            "msg": "two\nlines of %s",
            "args": ("x",),
            "digest": 7,
        }
    )
    handler.handle(record)
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("+00:00")
    assert found == {
        "message": "two lines of x", "level": "INFO", "logger": "mailer.test", "digest": 7,
    }  # fmt: skip


def test_a_log_call_with_wrong_arguments_does_not_raise(written: io.StringIO) -> None:
    LOG.info("two of %s %s", "one")
    assert "two of" in written.getvalue()


def test_a_stream_that_is_gone_does_not_raise(written: io.StringIO) -> None:
    written.close()
    LOG.info("nobody reads this")
    # The fixture's reader is closed too; that nothing was raised is the point.
    assert written.closed


def test_libraries_are_quiet(written: io.StringIO) -> None:
    logging.getLogger("apscheduler.scheduler").info("Running job")
    logging.getLogger("uvicorn.error").info("Started")
    assert written.getvalue() == ""
