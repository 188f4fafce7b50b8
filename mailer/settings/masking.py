"""Masks passwords in the text of a setting, for `config show` and for error messages. Pure."""

import re
from typing import Final

_USER: Final = re.compile(r"://([^/?#@:]*:)?.*@", re.DOTALL)
_SECRET_FIELD: Final = re.compile(
    r"([?&;][^?&;=]*(?:password|secret)[^?&;=]*=)[^&;]*", re.IGNORECASE
)
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,19}://")


def without_password(text: str) -> str:
    """Mask what may be a password in a URL: before its host, and in fields such as `sslpassword`."""
    return _SECRET_FIELD.sub(r"\1***", _USER.sub(r"://\1***@", text))


def scheme_only(text: str) -> str:
    """Mask all but the scheme of a text that is not a valid URL: any other part may be the password."""
    scheme = _SCHEME.match(text)
    return f"{scheme[0] if scheme else ''}***"
