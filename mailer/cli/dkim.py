"""`mailer dkim`: makes the keys that sign mails. Needs no settings and no database."""

import json
from pathlib import Path
from typing import Final

import click

from mailer.cli.base import Group, json_option
from mailer.cli.output import message, print_json, print_text
from mailer.cli.parameters import FILE, Parsed
from mailer.settings import dkim as settings

_TEXT: Final = """\
Publish this TXT record where the DNS of {domain} is kept.

Name, where the form adds {domain} by itself:
{label}

Name in full:
{name}

Value, in one piece:
{value}
{pieces}
The same as a line of a zone file:
{zone}

Then put this into mailer.toml{where}:

{toml}

Wait until the record can be seen (mailer doctor checks it), then restart mailer run.
Keep a copy of the key in a safe place, and show it to nobody.\
"""
_PIECES: Final = """
Value, where the form takes at most 255 characters for a string:
{strings}
"""


@click.group(cls=Group)
def dkim() -> None:
    """Make keys that sign mails with DKIM."""


@dkim.command
@click.option(
    "--domain",
    required=True,
    type=Parsed("domain", settings.domain),
    help="The domain that signs: that of the newsletters' From address, or one above it.",
)
@click.option(
    "--selector",
    required=True,
    type=Parsed("selector", settings.selector),
    help="A name for the key, such as the year; each key needs another one.",
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["rsa", "ed25519"]),
    default="rsa",
    show_default=True,
    help="ed25519 only beside an RSA key: many receivers cannot verify it.",
)
@click.option(
    "--file", "path", type=FILE, help="Where to write the key (default: dkim-SELECTOR.pem)."
)
@json_option
def new(domain: str, selector: str, kind: str, path: Path | None, as_json: bool) -> None:
    """Write a private key, readable only by you, and print the DNS record that publishes it.

    Nothing is overwritten, and nothing is signed until the settings name the key.

    \b
    Example:
      mailer dkim new --domain news.example --selector news2026
      mailer dkim new --domain news.example --selector news2026e --type ed25519
    """
    from mailer.message.dkim_keys import KeyType, read_key, txt_strings
    from mailer.settings import key_files

    path = (path or Path(f"dkim-{selector}.pem")).absolute()
    pem = key_files.new_key(KeyType(kind))
    record = read_key(pem, selector, str(path)).record
    key_files.write(path, pem)
    message(f"wrote {path}")
    name, strings = f"{selector}._domainkey.{domain}", txt_strings(record)
    quoted = " ".join(f'"{string}"' for string in strings)
    zone = f"{name}. IN TXT ( {quoted} )"
    if as_json:
        print_json(
            {
                "domain": domain,
                "selector": selector,
                "type": kind,
                "file": path,
                "name": name,
                "value": record,
                "strings": strings,
                "zone": zone,
            }
        )
        return
    print_text(
        _TEXT.format(
            domain=domain,
            label=f"{selector}._domainkey",
            name=name,
            value=record,
            pieces=_PIECES.format(strings="\n".join(strings)) if len(strings) > 1 else "",
            zone=zone,
            where="" if kind == "rsa" else ", behind the RSA key that it needs beside it",
            toml=_toml(domain, selector, kind, path),
        )
    )


def _toml(domain: str, selector: str, kind: str, path: Path) -> str:
    behind = "" if kind == "rsa" else "…,"
    return (
        f"dkim_key = {json.dumps(f'{behind}{path}', ensure_ascii=False)}\n"
        f'dkim_selector = "{behind}{selector}"\n'
        f'dkim_domain = "{domain}"'
    )
