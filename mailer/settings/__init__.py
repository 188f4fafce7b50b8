"""Reads the settings once at the start, checks them all together, and freezes them.

Order: defaults, then the configuration file, then the environment. Only `app` and entry points see the
settings: the code below is given values, never the settings.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mailer.address import Address
from mailer.errors import SettingsError
from mailer.message.return_address import SEPARATORS
from mailer.rate import Rate, SignupLimits
from mailer.settings import (
    dkim,
    file_permissions,
    mail_parsers,
    mailbox_url,
    masking,
    parsers,
    provider_keys,
)
from mailer.settings.mailbox_url import MailboxUrl
from mailer.settings.parsers import Network, RelayUrl, Secret
from mailer.settings.provider_keys import WebhookKeys

if TYPE_CHECKING:
    from mailer.message.headers import Header

PREFIX: Final = "MAILER_"
CONFIG_VARIABLE: Final = "MAILER_CONFIG"
DEFAULT_FILE: Final = "mailer.toml"
_OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "MAILER_FAILPOINT"})


def _setting(parse: Callable[[str], Any], default: str | None, *, required: bool = False) -> Any:
    """Declare a setting that `parse` makes from its text; without a default it is None, or required."""
    return field(metadata={"parse": parse, "default": default, "required": required})


@dataclass(frozen=True)
class Settings:
    """Every setting. docs/settings.md says what each is for.

    `origins` names where each value came from: "default", the file, or the variable. `shown` holds the
    text of each value with its secrets masked.
    """

    database_url: Secret = _setting(parsers.database_url, "sqlite:///mailer.db")
    base_url: str = _setting(parsers.base_url, "http://127.0.0.1:8000")
    secret_key: tuple[Secret, ...] = _setting(parsers.keys, None, required=True)
    identity_key: Secret = _setting(parsers.key, None, required=True)
    smtp_url: RelayUrl = _setting(parsers.relay, "smtp://127.0.0.1:25")
    ehlo_name: str | None = _setting(parsers.ehlo_name, None)
    smtp_connections: int = _setting(parsers.number(1, 1000), "10")
    smtp_messages_per_connection: int = _setting(parsers.number(1, 1_000_000), "100")
    smtp_rate: Rate | None = _setting(parsers.rate, None)
    smtp_timeouts: Mapping[str, timedelta] = _setting(parsers.timeouts, "")
    smtp_retry: tuple[timedelta, ...] = _setting(parsers.durations, "5m,15m,30m,1h,2h,4h")
    give_up_after: timedelta = _setting(parsers.duration, "48h")
    on_unknown: str = _setting(parsers.choice("resend", "hold"), "resend")
    lease: timedelta = _setting(parsers.at_least("2s"), "60s")
    bounce_address: Address | None = _setting(mail_parsers.bounce_address, None)
    bounce_separator: str = _setting(parsers.choice(*SEPARATORS), SEPARATORS[0])
    bounce_fetch_url: MailboxUrl | None = _setting(mailbox_url.parse, None)
    webhook_keys: WebhookKeys = _setting(provider_keys.parse, "")
    dkim_key: tuple[Path, ...] = _setting(dkim.files, "")
    dkim_selector: tuple[str, ...] = _setting(dkim.selectors, "")
    dkim_domain: str | None = _setting(dkim.domain, None)
    extra_headers: "tuple[Header, ...]" = _setting(mail_parsers.extra_headers, "")
    extra_headers_notice: "tuple[Header, ...]" = _setting(mail_parsers.extra_headers, "")
    stop_at_complaints: float = _setting(parsers.percentage, "0.3%")
    stop_at_hard_bounces: float = _setting(parsers.percentage, "5%")
    backup_folder: Path | None = _setting(Path, None)
    relay_signs_dkim: bool = _setting(parsers.yes_or_no, "false")
    host: str = _setting(parsers.line, "127.0.0.1")
    port: int = _setting(parsers.number(1, 65535), "8000")
    trusted_proxies: tuple[Network, ...] = _setting(parsers.networks, "")
    embed_origins: tuple[str, ...] = _setting(parsers.origins, "")
    next_urls: tuple[str, ...] = _setting(parsers.page_urls, "")
    signup_limits: SignupLimits = _setting(parsers.signup_limits, parsers.SIGNUP_LIMITS)
    signup_expiry: timedelta = _setting(parsers.duration, "7d")
    staff_address: tuple[Address, ...] = _setting(parsers.mail_addresses, "")
    publisher: str | None = _setting(parsers.line, None)
    privacy_url: str | None = _setting(parsers.page_url, None)
    consent_retention: timedelta = _setting(parsers.duration, "1095d")
    ledger_retention: timedelta | None = _setting(parsers.at_least("60d"), None)
    feed_interval: timedelta = _setting(parsers.at_least("1m"), "15m")
    metrics_token: Secret | None = _setting(parsers.token, None)
    templates: Path | None = _setting(Path, None)
    log_level: str = _setting(parsers.choice("debug", "info", "warning", "error"), "info")
    log_format: str = _setting(parsers.choice("text", "json"), "text")
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    shown: Mapping[str, str | None] = field(default_factory=dict, compare=False)


_FIELDS: Final = {setting.name: setting for setting in fields(Settings) if setting.metadata}
_SECRET: Final = frozenset({"secret_key", "identity_key", "metrics_token"})
_MAY_HOLD_PASSWORDS: Final = frozenset({"bounce_fetch_url", "database_url", "smtp_url"})
_NAMES_WITH_KEYS: Final = frozenset({"webhook_keys"})
_DKIM: Final = frozenset(
    {"dkim_key", "dkim_selector", "dkim_domain", "relay_signs_dkim", "webhook_keys"}
)
_RETURN_ADDRESS: Final = frozenset({"bounce_address", "bounce_separator"})


def config_path(environ: Mapping[str, str]) -> Path | None:
    """Find the configuration file: the one in MAILER_CONFIG, else ./mailer.toml if it exists."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).exists() else None


def load(
    environ: Mapping[str, str], path: Path | None, defaults: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings from the file at `path`, if any, and from `environ`.

    Args:
        defaults: texts that replace the built-in defaults, such as the fresh keys of `mailer init`.

    Raises:
        SettingsError: names everything that is wrong, in one line.
    """
    problems: list[str] = []
    texts = {name: (text, "given") for name, text in (defaults or {}).items()}
    for name, value, origin in _sources(environ, path):
        text = _as_text(value)
        if name not in _FIELDS:
            problems.append(f"{name} in {origin} is not a setting; {_hint(name)}")
        elif text is None:
            problems.append(
                f"{name} in {origin} must be a text, a number, true, false, or a list of texts"
            )
        else:
            texts[name] = text, origin
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    shown: dict[str, str | None] = {}
    for name, setting in _FIELDS.items():
        default = setting.metadata["default"]
        text, origins[name] = texts.get(name, (default, "default"))
        if text == "" and default is None:
            text = None
        shown[name] = _masked(name, text)
        try:
            values[name] = _parse(name, text)
        except ValueError as error:
            problems.append(f"{name} {error}{_refused_text(name, shown[name], origins[name])}")
    problems += _contradictions(values)
    if problems:
        raise SettingsError("settings are not valid: " + "; ".join(problems))
    return Settings(**values, origins=origins, shown=shown)


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """Say which settings do not fit together.

    Args:
        values: of the settings that are valid; those that belong to others are compared if all of them are.
    """
    problems = []
    if values.keys() >= _DKIM:
        problems += dkim.problems(
            values["dkim_key"],
            values["dkim_selector"],
            values["dkim_domain"],
            relay_signs=values["relay_signs_dkim"],
            webhooks=values["webhook_keys"],
        )
    if values.keys() >= _RETURN_ADDRESS:
        problems += mail_parsers.problems(values["bounce_address"], values["bounce_separator"])
    return problems


def _sources(environ: Mapping[str, str], path: Path | None) -> Iterator[tuple[str, object, str]]:
    """List the name, value and origin of each setting in the file, then in the environment."""
    for name, value in (_read_file(path) if path else {}).items():
        yield name, value, str(path)
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in _OTHER_VARIABLES:
            yield variable.removeprefix(PREFIX).lower(), environ[variable], variable


def _hint(name: str) -> str:
    # Imported here, because only a typing error needs it, and every command would wait for it.
    import difflib

    close = difflib.get_close_matches(name, _FIELDS, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return "remove it; `mailer config show` lists the settings"


def _parse(name: str, text: str | None) -> Any:
    metadata = _FIELDS[name].metadata
    if text is not None:
        return metadata["parse"](text)
    if metadata["required"]:
        raise ValueError(f"is missing; `mailer init` writes one, or set {PREFIX}{name.upper()}")
    return None


def _masked(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    if name in _SECRET:
        return "***"
    if name in _NAMES_WITH_KEYS:
        return provider_keys.masked(text)
    return masking.without_password(text) if name in _MAY_HOLD_PASSWORDS else text


def _refused_text(name: str, shown: str | None, origin: str) -> str:
    """Quote a text that was refused, as far as it can be shown."""
    if shown is None:
        return ""
    mask = masking.scheme_only if name in _MAY_HOLD_PASSWORDS else masking.without_password
    return f" (it is {mask(shown)!r} in {origin})"


def _as_text(value: object) -> str | None:
    """Write a value of TOML or of the environment as text; None if it has another type."""
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
            values = tomllib.load(file)
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist; `mailer init` writes one") from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}); change its permissions"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # In the words of tomllib, a name that stands there twice.
        why = str(error).replace("Cannot overwrite a value", "a setting stands there twice")
        raise SettingsError(f"{path} is not valid TOML: {why}; correct that line") from error
    holds_keys = bool((_SECRET | _MAY_HOLD_PASSWORDS | _NAMES_WITH_KEYS) & values.keys())
    if problem := file_permissions.problem(
        path, status.st_mode, status.st_uid, os.geteuid(), holds_keys=holds_keys
    ):
        raise SettingsError(problem)
    return values
