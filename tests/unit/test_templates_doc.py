"""docs/templates.md names every template of a mail, and under its heading every field it may use."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from jinja2 import Environment, meta, nodes

from mailer.digests.build.render import PrintedStory
from mailer.errors import BadTemplate
from mailer.message.look import Look
from mailer.templating.templates import Templates

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path.relative_to(ROOT / "templates").as_posix() for path in (ROOT / "templates/mail").iterdir()
)
DOC = (ROOT / "docs/templates.md").read_text(encoding="utf-8")
GIVEN_TO_ALL = {"language", "dir", "_", "gettext", "ngettext"}


FILTERS = ("date", "day", "moment", "number", "percent", "city", "direction", "dir_of", "wrap")


def named(text: str) -> set[str]:
    """The names in the tables of a text."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)}


def sections() -> list[str]:
    return re.split(r"\n(?=##+ )", DOC)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_and_its_fields_are_in_the_doc(name: str) -> None:
    assert f"`{name}`" in DOC
    environment = Environment(extensions=["jinja2.ext.i18n"])
    environment.filters |= dict.fromkeys(FILTERS, str)
    tree = environment.parse((ROOT / "templates" / name).read_text())
    own = {one for node in tree.find_all(nodes.FromImport) for one in node.names}
    own |= {one.target.name for one in tree.find_all((nodes.Assign, nodes.AssignBlock))}
    used = meta.find_undeclared_variables(tree) - GIVEN_TO_ALL - own
    mine = [text for text in sections() if f"`{name}`" in text.splitlines()[0]]
    every = [text for text in sections() if text.startswith("## What every mail sees")]
    known = {name.partition(".")[0] for text in mine + every for name in named(text)}
    assert used <= known


def test_every_filter_is_in_the_doc(tmp_path: Path) -> None:
    documented = set(re.findall(r"`…\\\|(\w+)`", DOC))
    assert documented == set(FILTERS)
    (tmp_path / "a.txt").write_text("{{ 1|no_such_filter }}")
    with pytest.raises(BadTemplate, match="no_such_filter"):
        Templates(tmp_path).render("a.txt", "en", {})
    (tmp_path / "b.txt").write_text(
        "{% if no %}" + "".join(f"{{{{ x|{name} }}}}" for name in FILTERS) + "{% endif %}"
    )
    assert Templates(tmp_path).render("b.txt", "en", {"no": False}) == ""


def test_every_field_of_a_story_and_of_a_look_is_in_the_doc() -> None:
    all_named = named(DOC)
    assert {field.name for field in fields(PrintedStory)} <= all_named
    of_look = {field.name for field in fields(Look)}
    of_look |= {name for name, value in vars(Look).items() if isinstance(value, property)}
    assert {f"look.{name}" for name in of_look} <= all_named
    assert {name for name in all_named if name.startswith("look.")} == {
        f"look.{name}" for name in of_look
    }


@pytest.mark.parametrize(
    "name", ["greeting", "unsubscribe_url", "preheader", "expires_on", "not_me_url", "titles"]
)
def test_the_doc_is_read_by_this_test(name: str) -> None:
    assert name in named(DOC)
