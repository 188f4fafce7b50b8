"""Checks that the documentation is complete: each setting, command and option, and nothing that is gone."""

import re
from pathlib import Path

import click
import pytest

from mailer.cli import main_group
from mailer.settings import load
from mailer.web import ROUTES
from mailer.web.security_headers import BEHIND_A_LINK

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENTS = [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]


def commands(group: click.Group, prefix: str = "mailer") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += commands(command, f"{prefix} {name}")
        else:
            found.append((f"{prefix} {name}", command))
    return found


COMMANDS = commands(main_group)


def test_every_setting_is_in_settings_md_with_its_default() -> None:
    keys = {"MAILER_SECRET_KEY": "s" * 40, "MAILER_IDENTITY_KEY": "i" * 40}
    shown = load(keys, None).shown
    lines = (DOCS / "settings.md").read_text().splitlines()
    rows = {
        line.split("|")[1].strip(" `"): line.split("|")[2].strip() for line in lines if "|" in line
    }
    assert set(rows) - {"setting", "---"} == set(shown)
    for name, default in shown.items():
        if default and "KEY" not in name.upper():
            assert rows[name] == f"`{default}`", name


def test_every_path_behind_a_link_is_named_where_logs_of_web_servers_are_masked() -> None:
    routes = {route.path.partition("{token}")[0] for route in ROUTES if "{token}" in route.path}
    assert routes <= set(BEHIND_A_LINK)
    told = (DOCS / "operations.md").read_text().partition("mask what follows")[2].partition(":")[0]
    assert [path for path in BEHIND_A_LINK if f"`{path}`" not in told] == []


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_option_is_in_commands_md(name: str, command: click.Command) -> None:
    text = (DOCS / "commands.md").read_text()
    heading = f"### {name}\n"
    assert heading in text
    section = text.split(heading, 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            longest = max(parameter.opts, key=len)
            if longest not in {"--json", "--help", "--yes"}:
                assert longest in section, (name, longest)


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_has_an_example(name: str, command: click.Command) -> None:
    assert command.help
    assert "Example" in command.help
    assert name.removeprefix("mailer ") in command.help


PLACE = re.compile(r"`((?:[a-z_.]+/)+[a-z0-9_]+\.py)(?:::?(?:\w+\.)?(\w+))?`")
"""A file of the tree, and perhaps what is in it: `sending/outbox.py:commit`, `tests/x/test_y.py::test_z`."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_function_that_is_named_exists(document: Path) -> None:
    for file, defined in PLACE.findall(document.read_text()):
        found = [folder / file for folder in (DOCS.parent, DOCS.parent / "mailer")]
        texts = [path.read_text() for path in found if path.is_file()]
        assert texts, file
        assert re.search(rf"\b(def|class) {defined}\b", texts[0]) if defined else True, defined


NAMED = re.compile(r"`mailer ([a-z]+(?: [a-z]+)?)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(document: Path) -> None:
    names = {name.removeprefix("mailer ") for name, _ in COMMANDS}
    groups = {name.partition(" ")[0] for name in names if " " in name}
    for words in NAMED.findall(document.read_text()):
        first = words.partition(" ")[0]
        assert words in names or words in groups or first in names - groups, words


def anchors(text: str) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_section_leads_somewhere(document: Path) -> None:
    for file, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
        target = document.parent / file if file else document
        assert anchor in anchors(target.read_text()), f"{file}#{anchor}"
