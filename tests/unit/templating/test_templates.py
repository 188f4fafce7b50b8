import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mailer.errors import BadTemplate, Refused
from mailer.message.reader_fields import SendTimeWord
from mailer.templating.templates import MAX_OUTPUT, Templates
from tools import make_catalogue

DAY = date(2026, 11, 24)

ESPERANTO = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Hello %(name)s,"
msgstr "Saluton %(name)s,"

msgid "%(num)s day"
msgid_plural "%(num)s days"
msgstr[0] "%(num)s tago"
msgstr[1] "%(num)s tagoj"
"""

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write_file


def test_html_is_escaped_and_text_is_not(tmp_path: Path, write: Write) -> None:
    write("a.html", "{{ x }}")
    write("a.txt", "{{ x }}")
    templates = Templates(tmp_path)
    assert templates.render("a.html", "en", {"x": "<b>&"}) == "&lt;b&gt;&amp;"
    assert templates.render("a.txt", "en", {"x": "<b>&"}) == "<b>&"


def test_data_is_never_compiled(tmp_path: Path, write: Write) -> None:
    write("a.txt", "{{ x }} {{ _('%(x)s!', x=x) }}")
    data = "{{ 7*7 }}{% for x in y %}"
    assert Templates(tmp_path).render("a.txt", "en", {"x": data}) == f"{data} {data}!"


def test_control_characters_are_left_out_and_line_ends_stay(tmp_path: Path, write: Write) -> None:
    write("a.txt", "{{ x }}")
    assert Templates(tmp_path).render("a.txt", "en", {"x": "a\0\x1b\x85\rb\n\tc"}) == "ab\n\tc"


def test_a_file_of_the_operator_comes_first_and_may_include_a_shipped_one(
    tmp_path: Path, write: Write
) -> None:
    write("mail/preferences.subject.txt", "ours")
    write("more.txt", '{% include "mail/already.subject.txt" %}')
    templates = Templates(tmp_path)
    assert templates.render("mail/preferences.subject.txt", "en", {}) == "ours"
    values = {"titles": ["A"]}
    shipped = Templates().render("mail/already.subject.txt", "en", values)
    assert templates.render("more.txt", "en", values) == shipped
    assert "link" in Templates().render("mail/preferences.subject.txt", "en", {})


@pytest.mark.parametrize(
    ("language", "direction", "day", "short"),
    [
        ("en", "ltr", "Tuesday, 24 November 2026", "24 November"),
        ("en-US", "ltr", "Tuesday, November 24, 2026", "November 24"),
        ("hy", "ltr", "2026 թ. նոյեմբերի 24, երեքշաբթի", "24 նոյեմբերի"),
        ("ru", "ltr", "вторник, 24 ноября 2026 г.", "24 ноября"),
        ("fr", "ltr", "mardi 24 novembre 2026", "24 novembre"),
        ("ar", "rtl", "الثلاثاء، 24 نوفمبر 2026", "24 نوفمبر"),
        ("pt-BR", "ltr", "terça-feira, 24 de novembro de 2026", "24 de novembro"),
    ],
)
def test_dates_and_direction_are_of_the_language(
    tmp_path: Path, write: Write, language: str, direction: str, day: str, short: str
) -> None:
    write("a.txt", '{{ language }}|{{ dir }}|{{ d|date("full") }}|{{ d|day }}')
    shown = Templates(tmp_path).render("a.txt", language, {"d": DAY})
    assert re.sub("[\xa0\u202f]", " ", shown) == f"{language}|{direction}|{day}|{short}"


@pytest.mark.parametrize(
    ("language", "instant", "slot"),
    [
        ("en", "24 November 2026, 16:05 UTC", "24 November 2026, 07:00"),
        ("hy", "24 նոյեմբերի, 2026 թ., 16:05 UTC", "24 նոյեմբերի, 2026 թ., 7:00"),
        ("ru", "24 ноября 2026 г., 16:05 UTC", "24 ноября 2026 г., 07:00"),
        ("fr", "24 novembre 2026, 16:05 UTC", "24 novembre 2026, 07:00"),
        ("ar", "24 نوفمبر 2026، 16:05 UTC", "24 نوفمبر 2026، 07:00"),
        # Its pattern has a word of its own, in quotes.
        ("nn", "24. november 2026 kl. 16:05 UTC", "24. november 2026 kl. 07:00"),
    ],
)
def test_a_moment_has_date_and_time_and_says_utc_of_an_instant(
    tmp_path: Path, write: Write, language: str, instant: str, slot: str
) -> None:
    write("a.txt", "{{ at|moment }}|{{ slot|moment }}")
    context = {"at": "2026-11-24T16:05:59Z", "slot": "2026-11-24T07:00"}
    shown = Templates(tmp_path).render("a.txt", language, context)
    assert shown.endswith("00")
    assert "\xa0UTC|" in shown
    assert re.sub("[\xa0\u202f]", " ", shown) == f"{instant}|{slot}"


def test_what_is_no_moment_is_told_with_file_and_line(tmp_path: Path, write: Write) -> None:
    write("a.txt", "\n{{ at|moment }}")
    with pytest.raises(BadTemplate, match=r"a\.txt, line 2: Invalid isoformat string: 'soon'"):
        Templates(tmp_path).render("a.txt", "en", {"at": "soon"})


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "3,011,234"), ("ru", "3\xa0011\xa0234"), ("fr", "3\u202f011\u202f234")],
)
def test_thousands_stand_apart(tmp_path: Path, write: Write, language: str, shown: str) -> None:
    write("a.txt", "{{ n|number }}")
    assert Templates(tmp_path).render("a.txt", language, {"n": 3011234}) == shown


@pytest.mark.parametrize(
    ("text", "in_english", "in_arabic"),
    [
        ("The harbour", "ltr", "ltr"),
        ("المنارة القديمة", "rtl", "rtl"),
        # A name in other letters does not turn the sentence around, wherever it stands.
        ("BBC تنشر تقريرًا عن الميناء", "rtl", "rtl"),
        ("iPhone 15 أصبح متاحًا", "ltr", "rtl"),
        ("القدس: a city of three faiths", "ltr", "ltr"),
        ("القدس في Merrowhaven", "ltr", "rtl"),
        ("שלום", "rtl", "rtl"),
        ("Портовая газета", "ltr", "ltr"),
        ("2026: 31!", "ltr", "rtl"),
        ("", "ltr", "rtl"),
    ],
)
def test_a_text_is_read_in_the_direction_of_its_letters(
    tmp_path: Path, write: Write, text: str, in_english: str, in_arabic: str
) -> None:
    write("a.html", "{{ text|direction }}")
    templates = Templates(tmp_path)
    assert templates.render("a.html", "en", {"text": text}) == in_english
    assert templates.render("a.html", "ar", {"text": text}) == in_arabic


def test_one_file_adds_a_language(tmp_path: Path, write: Write) -> None:
    write("translations/eo.po", ESPERANTO)
    write(
        "a.html",
        "{{ _('Hello %(name)s,', name=name) }}"
        " {% trans num=n %}{{ num }} day{% pluralize %}{{ num }} days{% endtrans %}",
    )
    templates = Templates(tmp_path)
    assert templates.languages() == ("en", *sorted({"eo", *Templates().languages()[1:]}))
    assert templates.render("a.html", "eo", {"name": "<i>", "n": 2}) == "Saluton &lt;i&gt;, 2 tagoj"
    assert templates.render("a.html", "eo", {"name": "A", "n": 1}) == "Saluton A, 1 tago"
    assert templates.render("a.html", "en", {"name": "A", "n": 2}) == "Hello A, 2 days"
    assert templates.gettext("eo")("Hello %(name)s,", name="%s") == "Saluton %s,"
    assert templates.gettext("en")("Hello %(name)s,", name="A") == "Hello A,"


def test_a_region_uses_the_catalogue_of_its_language(tmp_path: Path, write: Write) -> None:
    write("translations/fr.po", ESPERANTO)
    assert Templates(tmp_path).gettext("fr-CA")("Hello %(name)s,", name="A") == "Saluton A,"


@pytest.mark.parametrize("language", ["xx", "", "english please", "../en", "e\0"])
def test_what_is_no_language_is_refused(language: str) -> None:
    with pytest.raises(Refused, match="does not exist; give a code"):
        Templates().render("mail/preferences.subject.txt", language, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n{{ nope }}", "a.txt, line 3: 'nope' is undefined"),
        ("\n{% if x %}", "a.txt, line 2: Unexpected end"),
        ("\n\n\n{{ 1 + 'a' }}", "a.txt, line 4: unsupported operand"),
        ("{{ 1 // 0 }}", "a.txt, line 1: "),
        ("\n{{ word or 1 }}", "a.txt, line 2: this field is known only when a mail is sent"),
        ("{% include 'gone.txt' %}", "the template gone.txt, which a.txt uses, is missing"),
        ("{% for i in range(100000) %}12345678901{% endfor %}", f"more than {MAX_OUTPUT}"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(
    tmp_path: Path, write: Write, text: str, message: str
) -> None:
    write("a.txt", text)
    with pytest.raises(BadTemplate) as caught:
        Templates(tmp_path).render("a.txt", "en", {"x": 1, "word": SendTimeWord("WORD")})
    assert message in str(caught.value)


def test_a_file_that_is_changed_later_waits_for_the_next_start(
    tmp_path: Path, write: Write
) -> None:
    write("a.txt", "good")
    templates = Templates(tmp_path)
    templates.check_all()
    write("a.txt", "{{ no_such_field }} and longer")
    assert templates.render("a.txt", "en", {}) == "good"
    with pytest.raises(BadTemplate):
        Templates(tmp_path).render("a.txt", "en", {})


def test_a_missing_template_is_told() -> None:
    with pytest.raises(BadTemplate, match=r"the template gone\.txt is missing; restore"):
        Templates().render("gone.txt", "en", {})


def test_shipped_templates_compile() -> None:
    Templates().check_all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mail/own.html", "{% if %}"),
        ("own.txt", "{{ 1 +"),
        ("web/fault.html", "{{ ''.__class__.__mro__ }}"),
        ("own.txt", "{{ ''['__class__'] }}"),
        ("translations/hy.po", 'msgid "a"\nnonsense'),
        ("translations/hy.po", 'msgid "Hello %(name)s"\nmsgstr "Hello %(nmae)s"'),
        ("translations/klingon.po", ESPERANTO),
    ],
)
def test_checking_finds_every_broken_file(
    tmp_path: Path, write: Write, name: str, text: str
) -> None:
    write("README", "{% this is no template")
    Templates(tmp_path).check_all()
    write(name, text)
    with pytest.raises(BadTemplate, match=name):
        Templates(tmp_path).check_all()


def test_the_folder_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match="does not exist"):
        Templates(tmp_path / "gone")


def test_all_texts_of_templates_and_code_can_be_collected() -> None:
    texts = make_catalogue.texts()
    assert {"Hello %(name)s,", "Read the story", "Confirm"} <= {message.id for message in texts}
    assert ("And %(num)s more story on the site", "And %(num)s more stories on the site") in {
        message.id for message in texts if message.pluralizable
    }


def test_a_catalogue_is_made_and_keeps_what_is_translated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_catalogue.texts()
    monkeypatch.setattr(make_catalogue, "ROOT", tmp_path)
    monkeypatch.setattr(make_catalogue, "texts", lambda: texts)
    path = tmp_path / "templates" / "translations" / "eo.po"
    path.parent.mkdir(parents=True)
    make_catalogue.main("eo")
    made = path.read_text(encoding="utf-8")
    path.write_text(
        made.replace('msgid "Confirm"\nmsgstr ""', 'msgid "Confirm"\nmsgstr "Konfirmi"')
    )
    make_catalogue.main("eo")
    assert Templates(tmp_path / "templates").gettext("eo")("Confirm") == "Konfirmi"
