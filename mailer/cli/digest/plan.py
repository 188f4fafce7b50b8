"""`mailer digest plan`: who would get what."""

from collections.abc import Sequence
from typing import Any

import click

from mailer import address as addresses
from mailer.cli.base import Command, json_option, opened
from mailer.cli.digest.show import print_editions, warn_of_subject
from mailer.cli.output import message, print_json, print_table
from mailer.cli.parameters import slot_options
from mailer.monitoring.digest_reference import coming_target
from mailer.monitoring.planned_digest import read_plan
from mailer.text.english import pluralise


@click.command(cls=Command)
@slot_options
@click.option("--as", "reader", metavar="ADDRESS", help="What this reader would get, or why not.")
@json_option
def plan(reference: str, slot: str | None, reader: str | None, as_json: bool) -> None:
    """Show who would get what at a slot, and why others would get nothing. Sends nothing.

    A slot is one time at which a schedule sends a digest, named by its local date and time.

    \b
    Example:
      mailer digest plan daily/morning
      mailer digest plan daily/morning --as reader@example.com
    """
    address = None if reader is None else addresses.parse(reader)
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        target = coming_target(session, reference, slot, now=now)
        data = read_plan(session, target, address, keys=app.keys, render=app.render, now=now)
    (print_json if as_json else _print)(data)


def _print(data: dict[str, Any]) -> None:
    reference = f"{data['newsletter']}/{data['schedule']}"
    print_editions(data["editions"])
    _print_counts(("no mail because", "readers"), list(data["excluded"].items()))
    _print_counts(
        ("articles", "number"),
        [(end, number) for end, number in data["articles"].items() if number],
    )
    message(f"slot {data['slot']} of {reference} ({data['zone']})")
    if data["subject"]:
        message(f"subject: {data['subject']}")
        warn_of_subject(data["subject"])
    if data["edits"]:
        message(f"edited by staff; `mailer digest edit {reference}` shows how")
    if data["reason"]:
        message(f"nothing would be sent: {data['reason']}")
    if data["carried_over"]:
        # The table above counts only what is printed for nobody.
        waiting = pluralise(data["carried_over"], "article waits", "articles wait")
        message(f"{waiting} for a later digest of some readers")
    if data["expiring"]:
        message(
            f"warning: {data['expiring']} of them will be too old before there is room for them, "
            "if as many arrive for each digest as for this one; "
            "raise --max-articles or --max-age of the schedule"
        )
    if "reader" in data:
        _print_reader(data["reader"])


def _print_counts(headings: tuple[str, str], rows: Sequence[tuple[str, int]]) -> None:
    if rows:
        print_table(headings, rows)


def _print_reader(reader: dict[str, Any]) -> None:
    if reader["reason"] is not None:
        message(f"no mail: {reader['address']} {reader['told']}")
    else:
        number = pluralise(len(reader["articles"]), "article")
        message(f"{reader['address']} gets {number if reader['articles'] else 'a letter'}")
    rows = [("in it", article.id, article.title) for article in reader["articles"]]
    rows += [(other["why"], other["id"], other["title"]) for other in reader["others"]]
    if rows:
        print_table(("for this reader", "article", "title"), rows)
