"""Bytes of every make are read as the letters that they are, or that they must be."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feeds.reading.encoding import decode

TEXTS = {
    "ru": "Городской совет в понедельник обсудил бюджет и объявил о новых выборах, съезде и ярмарке",
    "uk": "Міська рада в понеділок розглянула бюджет і оголосила про нові вибори та ярмарок",
    "ja": "市議会は月曜日に予算について話しあい、あたらしい選挙のおしらせをしました",
    "ko": "시의회는 월요일에 예산을 논의하고 새로운 선거를 알렸습니다",
    "zh": "市议会星期一讨论了预算并宣布了新的选举和集市的日期",
    "zh-tw": "市議會星期一討論了預算並宣布了新的選舉和市集的日期",
    "el": "Το δημοτικό συμβούλιο συζήτησε τη Δευτέρα τον προϋπολογισμό και τις νέες εκλογές",
    "he": "מועצת העיר דנה ביום שני בתקציב והודיעה על בחירות חדשות ועל יריד",
    "th": "สภาเมืองได้หารือเรื่องงบประมาณในวันจันทร์และประกาศการเลือกตั้งครั้งใหม่",
    "pl": "Rada miasta omówiła w poniedziałek budżet i ogłosiła nowe wybory oraz święto żniw",
    "tr": "Belediye meclisi pazartesi günü bütçeyi görüştü ve yeni seçimleri açıkladı, şenliği de",
    "ar": "ناقش مجلس المدينة الميزانية يوم الاثنين وأعلن عن انتخابات جديدة",
    "lt": "Miesto taryba pirmadienį aptarė biudžetą ir paskelbė apie naujus rinkimus, šventę ir mugę",
    "fr": "L'assemblée a été créée à l'été ; les élus ont voté le budget « à l'unanimité »",
}


def feed(text: str, encoding: str, declared: str = "", language: str = "") -> bytes:
    head = f' encoding="{declared}"' if declared else ""
    said = f"<language>{language}</language>" if language else ""
    return f'<?xml version="1.0"{head}?><rss>{said}<title>{text}</title></rss>'.encode(encoding)


def read(body: bytes, content_type: str = "") -> tuple[str, list[str]]:
    warnings: list[str] = []
    return decode(body, content_type, warnings.append), warnings


@pytest.mark.parametrize(
    ("text", "encoding", "needs_language"),
    [
        ("ru", "windows-1251", False),
        ("ru", "koi8-r", False),
        ("ru", "iso-8859-5", False),
        ("ru", "ibm866", False),
        ("uk", "windows-1251", False),
        ("ja", "shift_jis", False),
        ("ja", "euc-jp", False),
        ("ko", "euc-kr", False),
        ("zh", "gb2312", False),
        ("zh-tw", "big5", False),
        ("el", "windows-1253", False),
        ("he", "windows-1255", False),
        ("th", "tis-620", False),
        ("pl", "windows-1250", True),
        ("tr", "windows-1254", True),
        ("ar", "windows-1256", False),
        ("lt", "windows-1257", True),
        ("fr", "windows-1252", False),
    ],
)
@pytest.mark.parametrize("declared", ["", "utf-8", "no-such-thing", "us-ascii"])
def test_letters_are_told_by_their_bytes_or_by_the_language(
    text: str, encoding: str, needs_language: bool, declared: str
) -> None:
    said = text if needs_language else ""
    result, warnings = read(feed(TEXTS[text], encoding, declared, said))
    assert TEXTS[text] in result
    assert any(warning.startswith("not ") for warning in warnings)
    # The language helps where the bytes would have told it, too.
    assert TEXTS[text] in read(feed(TEXTS[text], encoding, declared, text))[0]


@pytest.mark.parametrize(
    ("text", "encoding"), [("ru", "windows-1251"), ("ja", "euc-jp"), ("he", "windows-1255")]
)
def test_western_letters_are_not_believed_where_they_stand_too_close(
    text: str, encoding: str
) -> None:
    result, warnings = read(feed(TEXTS[text], encoding, "iso-8859-1"))
    assert TEXTS[text] in result
    assert warnings[0].startswith("not iso-8859-1; read as ")


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1252", "ISO_8859-1"])
@pytest.mark.parametrize("text", [TEXTS["fr"], "créée", "«é»", "80 € “quoted”", "naïf, œuvre"])
def test_western_letters_stay_western(text: str, declared: str) -> None:
    assert read(feed(text, "windows-1252", declared)) == (
        feed(text, "windows-1252", declared).decode("windows-1252"),
        [],
    )


@pytest.mark.parametrize("encoding", ["windows-1250", "iso-8859-2"])
def test_some_sentences_tell_latin_letters_without_the_language(encoding: str) -> None:
    text = (
        f"{TEXTS['pl']}. Mieszkańcy mogą zgłaszać wnioski do piątku, a burmistrz odpowie w środę. "
        "Późną jesienią zostanie otwarta biblioteka, którą zaprojektował młody architekt."
    )
    assert text in read(feed(text, encoding, "utf-8"))[0]


@pytest.mark.parametrize("text", ["El Niño à la carte", "© 20 °C – “so”", "Škoda, Citroën"])
def test_a_few_letters_are_western(text: str) -> None:
    assert text in read(feed(text, "windows-1252", "utf-8"))[0]


@pytest.mark.parametrize(
    ("text", "encoding"), [("ja", "shift_jis"), ("ru", "koi8-r"), ("th", "tis-620")]
)
@pytest.mark.parametrize("broken", [b"\xff", b"\x80", b"\xfe\xff"])
def test_a_broken_byte_hides_no_encoding(text: str, encoding: str, broken: bytes) -> None:
    long = " ".join(f"{TEXTS[text]} {number}" for number in range(12))
    body = feed(long, encoding).replace(b"<title>", b"<title>" + broken)
    assert TEXTS[text] in read(body)[0]


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [("x-sjis", "cp932", "～髙"), ("gb2312", "gb18030", "镕"), ("macintosh", "mac-roman", "Ä"),
     ("iso-8859-8-i", "iso-8859-8", "א"), ("windows-874", "cp874", "ก"), ("iso-8859-9", "cp1254", "“ş”")],
)  # fmt: skip
def test_labels_mean_what_browsers_take_them_for(label: str, encoding: str, text: str) -> None:
    assert read(feed(text, encoding, label)) == (feed(text, encoding, label).decode(encoding), [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037"])
def test_wide_letters_and_no_ascii_at_all(encoding: str) -> None:
    assert read(feed("été", encoding, encoding.replace("cp037", "IBM037")))[0].endswith(
        "<title>été</title></rss>"
    )


def test_a_mark_of_two_bytes_before_single_bytes_is_a_mistake() -> None:
    assert "<title>été</title>" in read(codecs.BOM_UTF16_LE + feed("été", "utf-8"))[0]


def test_a_few_broken_bytes_cost_no_other_letter() -> None:
    body = feed(TEXTS["ru"], "utf-8").replace(b"</title>", b" caf\xe9</title>")
    result, warnings = read(body)
    assert f"{TEXTS['ru']} café</title>" in result
    assert warnings == ["some characters could not be read"]


def test_a_document_that_ends_inside_a_letter() -> None:
    body = feed(TEXTS["ja"], "shift_jis", "shift_jis")
    body = body[: body.index(b"</title>") - 1]
    result, warnings = read(body)
    assert TEXTS["ja"][:-1] in result
    assert warnings == ["some characters could not be read"]


def test_what_a_server_says_comes_before_what_a_document_says() -> None:
    body = feed(TEXTS["ru"], "koi8-r", "windows-1251")
    assert TEXTS["ru"] in read(body, "text/xml; charset=koi8-r")[0]


def test_utf_8_is_seen_whatever_a_document_says() -> None:
    result, warnings = read(feed("été", "utf-8", "iso-8859-1"))
    assert "été" in result
    assert warnings == ["not iso-8859-1; read as utf-8"]
    assert read(feed("plain", "utf-8", "iso-8859-1"))[1] == []


@given(st.binary(max_size=300), st.sampled_from(["", "text/xml; charset=utf-7", "charset=hz"]))
def test_whatever_comes_is_text(body: bytes, content_type: str) -> None:
    assert isinstance(read(body, content_type)[0], str)
