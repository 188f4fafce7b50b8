"""Whatever an operator's template does wrong in a mail is found before any mail is due."""

from pathlib import Path

import pytest

from mailer.digests.template_check import check_templates
from mailer.errors import BadMessage, BadTemplate
from mailer.models import NoticeKind
from mailer.packaged_files import resource_folder
from mailer.templating.templates import Templates
from tests.support.sample_mails import NOTICES

SHIPPED = resource_folder("templates")
ALL = sorted(
    path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.*") if path.suffix != ".po"
)
MAILS = [name for name in ALL if name.startswith("mail/")]


def override(folder: Path, name: str, text: str) -> Templates:
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return Templates(folder)


def test_what_is_shipped_passes() -> None:
    Templates().check_all()
    check_templates(Templates())


def test_every_kind_of_notice_with_a_template_is_checked(tmp_path: Path) -> None:
    assert {f"mail/{kind}.txt" for kind in NOTICES} <= set(MAILS)
    assert set(NoticeKind) - set(NOTICES) == {NoticeKind.TEST, NoticeKind.REVIEW}


@pytest.mark.parametrize("name", ALL)
def test_a_template_that_cannot_be_parsed_is_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadTemplate, match=rf"{name}, line 2"):
        override(tmp_path, name, "\n{% if x %}").check_all()


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize(
    "fault", ["{{ no_such_field }}", "{{ look.no_such_field }}", "{{ 1 / 0 }}"]
)
def test_a_mail_that_cannot_be_rendered_is_found(tmp_path: Path, name: str, fault: str) -> None:
    shipped = (SHIPPED / name).read_text(encoding="utf-8")
    # A frame and a macro stay what they are, and have the fault in them.
    text = shipped.replace("-%}\n", f"-%}}\n{fault}", 1) if "button" in name else fault
    text = text + "{% block body %}{% endblock %}" if "notice" in name else text
    with pytest.raises(BadTemplate, match=name):
        check_templates(override(tmp_path, name, text))


def test_a_fault_that_only_a_digest_of_one_story_has_is_found(tmp_path: Path) -> None:
    templates = override(tmp_path, "mail/digest.subject.txt", "{{ stories[0].title }}")
    with pytest.raises(BadTemplate, match=r"digest\.subject\.txt, line 1"):
        check_templates(templates)


@pytest.mark.parametrize("name", ["mail/digest.html", "mail/alert.txt", "mail/review.subject.txt"])
def test_a_fault_that_only_one_language_has_is_found(tmp_path: Path, name: str) -> None:
    fault = "{% if language == 'ar' %}{{ no_such_field }}{% endif %}"
    shipped = (SHIPPED / name).read_text(encoding="utf-8")
    place = "{% block body %}\n" if "block body" in shipped else ""
    text = shipped.replace(place, place + fault, 1) if place else fault + shipped
    templates = override(tmp_path, name, text)
    check_templates(templates)
    check_templates(templates, {"en", "hy"})
    with pytest.raises(BadTemplate, match=name):
        check_templates(templates, {"ar"})


def test_a_mail_that_is_too_long_is_found(tmp_path: Path) -> None:
    shipped = (SHIPPED / "mail/digest.html").read_text(encoding="utf-8")
    templates = override(
        tmp_path, "mail/digest.html", shipped.replace("<body>", "<body>" + "x" * 99_999)
    )
    with pytest.raises(BadMessage, match="bytes"):
        check_templates(templates)
