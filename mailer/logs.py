"""Logs one line for each event to stderr, as text or JSON, and masks addresses and tokens in it.

The filter is the last guard, not the first: code logs ids. Nothing here may raise into the caller.
"""

import logging
import re
import sys
from typing import Final, TextIO

from mailer.address import mask
from mailer.text.untrusted import printable_line, without_controls

_NOISY: Final = ("apscheduler", "uvicorn", "mail.log", "urllib3", "alembic")
"""Libraries that log too much at INFO."""

_LETTER: Final = r"""[^\s@<>"'(),:;\[\]{}=/?&|]"""
_PART: Final = f"{_LETTER}+"
# It begins at the start of a word: starting at every letter, a long word would take minutes.
_ADDRESS: Final = re.compile(rf"""(?:"[^"\n]*"|(?<!{_LETTER}){_PART})(?:@|%40){_PART}""")
_LINK: Final = re.compile(
    r"(/(?:confirm|not-me|unsubscribe|preferences|data|erase|review|edit|webhooks(?:/[a-z]{1,20})?)/)"
    r"[\w-]+"
)
_TOKEN: Final = re.compile(r"(?<![\w-])[A-Za-z0-9_-]{39}(?![\w-])")
"""29 bytes of a link token in base64url, see `mailer.tokens`."""

_LONGEST: Final = 10_000
"""How many characters of a message or a traceback are logged: a stranger may decide its length."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def masked(text: str) -> str:
    """Mask the addresses and tokens in `text`."""
    hidden = _ADDRESS.sub(lambda address: mask(address[0].replace("%40", "@")), text)
    return _TOKEN.sub("***", _LINK.sub(r"\1***", hidden))


def _masked_lines(text: str) -> str:
    # The end of a traceback says what happened.
    return masked(without_controls(text[-_LONGEST:], keep="\n"))


class Masking(logging.Filter):
    """Masks the message, the traceback and every extra field of a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A log call with wrong arguments is a bug of ours, but it must not stop the sending.
            message = str(record.msg)
        # One line: otherwise a line break in a stranger's text could forge a record.
        record.msg, record.args = masked(printable_line(message, _LONGEST)), ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = _masked_lines(record.exc_text)
        if record.stack_info:
            record.stack_info = _masked_lines(record.stack_info)
        for name in vars(record).keys() - _STANDARD:
            value = getattr(record, name)
            if not isinstance(value, int | float | bool | None):
                setattr(record, name, masked(printable_line(str(value), _LONGEST)))
        return True


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Log from now on to `stream` (stderr), from `level` ("info") up, as "text" or "json"."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(form))
    handler.addFilter(Masking())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    # A handler that cannot write is silent: between a 250 and its record nothing may raise.
    logging.raiseExceptions = False


def _formatter(form: str) -> logging.Formatter:
    if form == "text":
        return logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        json_ensure_ascii=False,
        timestamp=True,
        rename_fields={"levelname": "level", "name": "logger"},
    )
