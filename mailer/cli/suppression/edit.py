"""`mailer suppression`: suppresses an address, or lifts its suppressions."""

import click

from mailer.address import parse
from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import message, print_json
from mailer.cli.suppression.reason import read_reason, reason_option
from mailer.errors import NotFound, Refused
from mailer.permission import suppress
from mailer.text.english import command


@click.command(cls=Command)
@click.argument("address")
@reason_option
@json_option
def add(address: str, reason: str, as_json: bool) -> None:
    """Block an address: it gets no more mail, even if it is imported again.

    \b
    Example:
      mailer suppression add anna@example.com --reason "asked by phone"
    """
    parsed = parse(address)
    kind, note = read_reason(reason)
    with opened() as app, app.database.write() as session:
        is_new = suppress.suppress(
            session,
            key_hash=app.keys.key_hash(parsed.key),
            address=parsed.typed,
            reason=kind,
            detail=note,
            now=app.times.wall(),
        )
    if as_json:
        print_json({"address": parsed.typed, "added": is_new})
    message(f"{parsed.typed} gets no mail" + ("" if is_new else "; it was suppressed before"))


@click.command(cls=Command)
@click.argument("address")
@json_option
def lift(address: str, as_json: bool) -> None:
    """Lift every suppression of an address. The reader stays unsubscribed from what they left.

    \b
    Example:
      mailer suppression lift anna@example.com
    """
    parsed = parse(address)
    with opened() as app, app.database.write() as session:
        key_hash = app.keys.key_hash(parsed.key)
        lifted = suppress.lift(session, key_hash, now=app.times.wall())
        if not lifted and suppress.list_suppressions(session, key_hash):
            invite = command("subscriber", "add", parsed.typed)
            raise Refused(
                f"{parsed.typed} was erased, or replaced by a new address, and only that person can come "
                f"back: by signing up again, or by the mail that `{invite} --newsletter SLUG` sends"
            )
        if not lifted:
            raise NotFound(
                f"{parsed.typed} is not suppressed; `mailer suppression list` shows who is"
            )
        is_erased = suppress.erased_at(session, key_hash) is not None
    if as_json:
        print_json({"address": parsed.typed, "lifted": lifted})
    message(f"{parsed.typed} may get mail again" + (", after confirming" if is_erased else ""))
