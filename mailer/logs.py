"""Logging: one line an event on stderr, as text or JSON, in which no address and no token stands.

The filter is the last guard, not the first: code logs ids. Nothing in here may raise into the caller.
"""

import logging
import re
import sys
from typing import Final, TextIO

from mailer.address import mask
from mailer.text.untrusted import printable_line, without_controls

_NOISY: Final = ("apscheduler", "uvicorn", "mail.log", "urllib3", "alembic")
"""Libraries that tell at INFO what nobody asked for."""

_LETTER: Final = r"""[^\s@<>"'(),:;\[\]{}=/?&|]"""
_PART: Final = f"{_LETTER}+"
# It begins where a word begins: looked for from every letter on, a long word would take minutes.
_ADDRESS: Final = re.compile(rf"""(?:"[^"\n]*"|(?<!{_LETTER}){_PART})(?:@|%40){_PART}""")
_LINK: Final = re.compile(r"(/(?:confirm|not-me|unsubscribe|preferences|review|edit)/)[\w-]+")
_TOKEN: Final = re.compile(r"(?<![\w-])[A-Za-z0-9_-]{39}(?![\w-])")
"""29 bytes of a link token in base64url, see `mailer.tokens`."""

_LONGEST: Final = 10_000
"""Characters of a message or a traceback that are logged: a stranger may decide how long it is."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def masked(text: str) -> str:
    """`text` without addresses and tokens."""
    hidden = _ADDRESS.sub(lambda found: mask(found[0].replace("%40", "@")), text)
    return _TOKEN.sub("***", _LINK.sub(r"\1***", hidden))


def _masked_lines(text: str) -> str:
    # The end of a traceback tells what happened.
    return masked(without_controls(text[-_LONGEST:], keep="\n"))


class Masking(logging.Filter):
    """Masks the message, the traceback and every extra field of a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A log call with wrong arguments is a defect of ours, but it must not stop the sending.
            message = str(record.msg)
        # One line: whoever can put a line break into a message could otherwise invent a record.
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
    """Log from now on to `stream` (stderr), from `level` ("info") upwards, as "text" or "json"."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(form))
    handler.addFilter(Masking())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    # A handler that cannot write says nothing: between a 250 and its record nothing may raise.
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
