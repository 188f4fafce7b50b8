"""Makes every mail in every language, in all shapes that matter, for tests of how mails look."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mailer.digests.editing.introduction import TextFormat, read_intro
from mailer.digests.staff_mail.review import with_review_header
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.reader_fields import field_word
from mailer.models import Edits, NoticeKind
from mailer.notices.notice import render_notice
from mailer.templating.templates import Templates
from tests.support.sample_mails import (
    ALERTS,
    FIELDS,
    NOTICES,
    NUMBERS,
    always,
    digest_mail,
    edition,
    look,
    notice_mail,
    story,
)

HERE = Path(__file__).parents[1]
SITE = "https://www.gazette.example"
WORDS = {
    "en": ("The old lighthouse is lit again after 31 winters",
     "Volunteers rebuilt the lamp room by hand."),
    "ar": ("المنارة القديمة تُضاء من جديد بعد 31 شتاءً",
     "أعاد متطوعون بناء غرفة المصباح بأيديهم."),
    "fr": ("Le vieux phare rallumé après 31 hivers dans le noir",
     "Des bénévoles ont reconstruit la lanterne."),
    "hy": ("Հին փարոսը կրկին կվառվի երեսունմեկ մութ ձմեռից հետո",
     "Կամավորները ձեռքով վերակառուցել են լապտերի սենյակը։"),
    "ru": ("Старый маяк снова зажгут после 31 тёмной зимы",
     "Добровольцы своими руками восстановили фонарную комнату."),
}  # fmt: skip
"""A title and a sentence of news in each language, English first."""
LANGUAGES = tuple(WORDS)
NAMES = {
    "en": ("The Harbour Gazette", "1 Quay Street"),
    "ar": ("جريدة الميناء", "شارع الرصيف 1"),
    "fr": ("La Gazette du port", "1, rue du Quai"),
    "hy": ("Նավահանգստի լրատու", "Նավամատույցի փողոց 1"),
    "ru": ("Портовая газета", "Набережная улица, 1"),
}
"""A newspaper and where it is."""


def mails(language: str) -> Iterator[tuple[str, Content, bytes]]:
    """Name, content and bytes of each mail."""
    for name, content in digests(language):
        yield f"{name} {language}", content, digest_mail(content)
    address = {"privacy_url": f"{SITE}/privacy"}
    shown = paper(language, **address)
    for kind, context in NOTICES.items():
        own = context | ({"titles": [NAMES[language][0]]} if "titles" in context else {})
        content = render_notice(Templates(), kind, shown, language, own, always("n"))
        yield f"{kind} {language}", content, notice_mail(content)
    for name, context in ALERTS.items():
        content = render_notice(
            Templates(), NoticeKind.ALERT, shown, language, context, always("n")
        )
        yield f"{name} {language}", content, notice_mail(content)
    title, text = WORDS[language]
    usual = edition(story(1, title=title, summary_html=f"<p>{text}</p>"), look=shown)
    content = with_review_header(usual, Templates(), shown, NUMBERS)
    yield f"review {language}", content, notice_mail(content)


def digests(language: str) -> Iterator[tuple[str, Content]]:
    """Digests: the usual one, one with next to nothing in it, and twenty long stories."""
    title, text = WORDS[language]
    usual = [
        story(
            number,
            title=title,
            summary_html=f"<p>{text} {text}</p>",
            image_url=None if number == 3 else f"{SITE}/uploads/{number}.jpg",
            author=None if number == 2 else "Ines Calloway",
        )
        for number in (1, 2, 3, 4)
    ]
    rich = paper(language, logo_url=f"{SITE}/logo.png", privacy_url=f"{SITE}/privacy")
    yield "digest", edition(*usual, more_count=3, look=rich)
    bare = story(1, title=title, summary_html="", author=None)
    yield "bare digest", edition(bare, look=paper(language))
    intro = read_intro(
        f"# {title}\n\n{text} **{text}** [{text}]({SITE}/fair)\n\n- {text}\n\n> {text}\n",
        TextFormat.MARKDOWN,
    )
    edits = Edits(intro_html=intro.html, intro_text=intro.text)
    yield "digest with an introduction", edition(*usual, edits=edits, look=rich)
    yield "letter", edition(edits=edits, look=paper(language))
    long = [
        story(
            number,
            title=f"{title} " * 9,
            summary_html=f"<p>{text * 40}</p>",
            url=f"{SITE}/2026/11/24/{'a-very-long-name-' * 8}{number}/",
            image_url=f"{SITE}/uploads/2026/11/{'a-very-long-name-' * 6}{number}-1024x683.jpg",
            author="Calloway " * 30,
        )
        for number in range(20)
    ]
    yield "long digest", edition(*long, more_count=9, look=rich)


def paper(language: str, **values: Any) -> Look:
    """The look of a newspaper of that language."""
    name, place = NAMES[language]
    return look(
        language=language,
        title=name,
        from_name=name,
        publisher=name,
        postal_address=place,
        **values,
    )


def html_of(content: Content) -> str:
    """The HTML as a reader gets it."""
    html = content.html
    for name, value in FIELDS.items():
        html = html.replace(field_word(content.marker, name), value)
    return html


def node_says(
    *,
    validate: Mapping[str, str] | None = None,
    support: Mapping[str, str] | None = None,
    parse: Sequence[bytes] = (),
) -> dict[str, Any]:
    """What the checkers of `tests/checkers.mjs` say; `needs_node` has to mark the test."""
    own = HERE.parent / ".venv" / "bin" / "node"
    node = str(own) if own.exists() else shutil.which("node")
    assert node is not None
    asked = {
        "validate": dict(validate or {}),
        "support": dict(support or {}),
        "parse": [base64.b64encode(mail).decode() for mail in parse],
    }
    done = subprocess.run(
        [node, HERE / "checkers.mjs"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
