"""What of a setting people may see: its text without the passwords in it. Pure."""

import re
from typing import Final

_USER: Final = re.compile(r"://([^/?#@:]*:)?.*@", re.DOTALL)
_SECRET_FIELD: Final = re.compile(
    r"([?&;][^?&;=]*(?:password|secret)[^?&;=]*=)[^&;]*", re.IGNORECASE
)
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,19}://")


def without_password(text: str) -> str:
    """A URL with what may be a password masked: before its host, and in fields such as `sslpassword`."""
    return _SECRET_FIELD.sub(r"\1***", _USER.sub(r"://\1***@", text))


def scheme_only(text: str) -> str:
    """All that can be shown of a text that was to be a URL and is none: any part may be the password."""
    scheme = _SCHEME.match(text)
    return f"{scheme[0] if scheme else ''}***"
