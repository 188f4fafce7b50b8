"""Judges whether bounces and complaints reach the mailer: bounce address, providers' webhooks. Pure."""

from collections.abc import Collection, Iterator
from typing import Final

from mailer.doctor import sender_rules
from mailer.doctor.finding import CheckFinding, Severity, from_error, ok

_BOUNCES: Final = "bounces"
_WEBHOOKS: Final = "webhooks"


def judge_mailbox(name: str, error: str | None) -> CheckFinding:
    """Judge the mailbox of `bounce_fetch_url`.

    Args:
        name: its address without the password.
        error: why it cannot be opened, and what to do behind a semicolon; None if it can.
    """
    if error is None:
        return ok(_BOUNCES, name, "the mailbox of returned mail can be read")
    return from_error(_BOUNCES, name, error, sender_rules.YAHOO_BOUNCES)


def judge_returned_mail(
    bounce_address: str | None,
    separator: str,
    providers: Collection[str],
    *,
    is_fetched: bool,
    is_local_url: bool,
) -> Iterator[CheckFinding]:
    """Judge the settings of bounces.

    Args:
        is_fetched: whether `bounce_fetch_url` is set; `judge_mailbox` says whether it works.
        providers: those named in `webhook_keys`.
        is_local_url: whether `base_url` works on this machine only, so that no provider can reach it.
    """
    if bounce_address is not None:
        local, _, domain = bounce_address.rpartition("@")
        example = f"{local}{separator}test@{domain}"
        advice = (
            f"to see that the mailbox keeps what stands behind {separator}, send a mail to {example} from"
            " elsewhere: it must arrive there, with that address in Delivered-To or X-Original-To"
        )
        yield ok(_BOUNCES, bounce_address, "each mail has a return address of its own", advice)
        if not is_fetched and not providers:
            yield CheckFinding(
                _BOUNCES,
                bounce_address,
                Severity.WARNING,
                "the settings name no way to read this mailbox",
                sender_rules.YAHOO_BOUNCES,
                "set `bounce_fetch_url`; if a mail server passes each mail to `mailer bounce process`, that"
                " is enough",
            )
    elif not providers:
        yield CheckFinding(
            _BOUNCES,
            "",
            Severity.WARNING,
            "returned mails go to the From addresses, and nobody who is gone is removed",
            sender_rules.YAHOO_BOUNCES,
            "set `bounce_address`, or let your relay's provider report bounces (`webhook_keys`)",
        )
    for provider in sorted(providers):
        if is_local_url:
            what = f"{provider} cannot reach `base_url`, which works on this machine only"
            advice = "set `base_url` to the https address that readers see"
            yield CheckFinding(_WEBHOOKS, provider, Severity.PROBLEM, what, do=advice)
        else:
            advice = "enter the address that `mailer webhook show` prints there, if you have not"
            yield ok(_WEBHOOKS, provider, f"{provider} may report bounces and complaints", advice)
