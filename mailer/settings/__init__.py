"""Settings: read once at the start, checked all together, frozen. Only `app` and entry points see them.

Order: defaults, then the configuration file, then the environment. Whoever needs a value below gets the
value, never the settings.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from mailer.address import Address
from mailer.errors import SettingsError
from mailer.rate import Rate, SignupLimits
from mailer.settings import forms, masks, rights
from mailer.settings.forms import Network, RelayUrl, Secret

PREFIX: Final = "MAILER_"
CONFIG_VARIABLE: Final = "MAILER_CONFIG"
DEFAULT_FILE: Final = "mailer.toml"
_OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "MAILER_FAILPOINT"})


def _setting(parse: Callable[[str], Any], default: str | None, *, required: bool = False) -> Any:
    """A setting that `parse` makes from its text; without a default it is None, or required."""
    return field(metadata={"parse": parse, "default": default, "required": required})


@dataclass(frozen=True)
class Settings:
    """Every setting. docs/settings.md says what each is for.

    `origins` tells where a value came from: "default", the file's name, or the variable's. `shown` is
    the text of every value with its secrets masked.
    """

    database_url: Secret = _setting(forms.database_url, "sqlite:///mailer.db")
    base_url: str = _setting(forms.base_url, "http://127.0.0.1:8000")
    secret_key: tuple[Secret, ...] = _setting(forms.keys, None, required=True)
    identity_key: Secret = _setting(forms.key, None, required=True)
    smtp_url: RelayUrl = _setting(forms.relay, "smtp://127.0.0.1:25")
    ehlo_name: str | None = _setting(forms.ehlo_name, None)
    smtp_connections: int = _setting(forms.number(1, 1000), "10")
    smtp_messages_per_connection: int = _setting(forms.number(1, 1_000_000), "100")
    smtp_rate: Rate | None = _setting(forms.rate, None)
    smtp_timeouts: Mapping[str, timedelta] = _setting(forms.timeouts, "")
    smtp_retry: tuple[timedelta, ...] = _setting(forms.durations, "5m,15m,30m,1h,2h,4h")
    give_up_after: timedelta = _setting(forms.duration, "48h")
    on_unknown: str = _setting(forms.choice("resend", "hold"), "resend")
    lease: timedelta = _setting(forms.at_least("2s"), "60s")
    relay_signs_dkim: bool = _setting(forms.yes_or_no, "false")
    host: str = _setting(forms.line, "127.0.0.1")
    port: int = _setting(forms.number(1, 65535), "8000")
    trusted_proxies: tuple[Network, ...] = _setting(forms.networks, "")
    embed_origins: tuple[str, ...] = _setting(forms.origins, "")
    next_urls: tuple[str, ...] = _setting(forms.page_urls, "")
    signup_limits: SignupLimits = _setting(
        forms.signup_limits, "address=3/24h,network=20/d,total=200/h"
    )
    signup_expiry: timedelta = _setting(forms.duration, "7d")
    staff_address: Address | None = _setting(forms.mail_address, None)
    publisher: str | None = _setting(forms.line, None)
    privacy_url: str | None = _setting(forms.page_url, None)
    consent_retention: timedelta = _setting(forms.duration, "1095d")
    feed_interval: timedelta = _setting(forms.at_least("1m"), "15m")
    metrics_token: Secret | None = _setting(forms.token, None)
    templates: Path | None = _setting(Path, None)
    log_level: str = _setting(forms.choice("debug", "info", "warning", "error"), "info")
    log_format: str = _setting(forms.choice("text", "json"), "text")
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    shown: Mapping[str, str | None] = field(default_factory=dict, compare=False)


_FIELDS: Final = {one.name: one for one in fields(Settings) if "parse" in one.metadata}
_SECRET: Final = frozenset({"secret_key", "identity_key", "metrics_token"})
_MAY_HOLD_PASSWORDS: Final = frozenset({"database_url", "smtp_url"})


def config_path(environ: Mapping[str, str]) -> Path | None:
    """The configuration file: what MAILER_CONFIG names, else ./mailer.toml if it is there."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).exists() else None


def load(
    environ: Mapping[str, str], path: Path | None, given: Mapping[str, str] | None = None
) -> Settings:
    """The settings from the file at `path`, if any, and from `environ`.

    Args:
        given: texts that take the place of defaults, such as the fresh keys of `mailer init`.

    Raises:
        SettingsError: names all that is wrong, in one line.
    """
    wrong: list[str] = []
    texts: dict[str, str] = dict(given or {})
    origins = dict.fromkeys(texts, "given")
    for name, value in (_read_file(path) if path else {}).items():
        _take(name, value, str(path), texts, origins, wrong)
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in _OTHER_VARIABLES:
            name = variable.removeprefix(PREFIX).lower()
            _take(name, environ[variable], variable, texts, origins, wrong)
    values: dict[str, Any] = {}
    shown: dict[str, str | None] = {}
    for name, one in _FIELDS.items():
        default = one.metadata["default"]
        text = texts.get(name, default)
        if text == "" and default is None:
            text = None
        origin = origins.setdefault(name, "default")
        shown[name] = text if text is None or name not in _SECRET else "***"
        if text is not None and name in _MAY_HOLD_PASSWORDS:
            shown[name] = masks.without_password(text)
        if text is None:
            values[name] = None
            if one.metadata["required"]:
                wrong.append(
                    f"{name} is missing; `mailer init` writes one, or set {_variable(name)}"
                )
            continue
        try:
            values[name] = one.metadata["parse"](text)
        except ValueError as error:
            shows = masks.scheme_only if name in _MAY_HOLD_PASSWORDS else masks.without_password
            wrong.append(f"{name} {error} (it is {shows(shown[name] or '')!r} in {origin})")
    if wrong:
        raise SettingsError("settings are not valid: " + "; ".join(wrong))
    return Settings(**values, origins=origins, shown=shown)


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _take(
    name: str,
    value: object,
    origin: str,
    texts: dict[str, str],
    origins: dict[str, str],
    wrong: list[str],
) -> None:
    if name not in _FIELDS:
        # Only a mistake needs it, and every command would wait for it.
        import difflib

        close = difflib.get_close_matches(name, _FIELDS, n=1)
        hint = (
            f"did you mean {close[0]}?"
            if close
            else "take it out, and `mailer config show` lists those there are"
        )
        wrong.append(f"{name} in {origin} is no setting; {hint}")
        return
    text = _as_text(value)
    if text is None:
        wrong.append(
            f"{name} in {origin} must be a text, a number, true, false, or a list of texts"
        )
        return
    texts[name], origins[name] = text, origin


def _as_text(value: object) -> str | None:
    """The one text form of a value of TOML or of the environment; None where there is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value).strip()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            found = tomllib.load(file)
    except FileNotFoundError as error:
        raise SettingsError(f"there is no {path}; `mailer init` writes one") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); mend its rights") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}; mend that line") from error
    holds_keys = bool((_SECRET | _MAY_HOLD_PASSWORDS) & found.keys())
    if fault := rights.fault_of(
        path, status.st_mode, status.st_uid, os.geteuid(), holds_keys=holds_keys
    ):
        raise SettingsError(fault)
    return found
