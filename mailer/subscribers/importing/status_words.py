"""Decides by the words of status columns who gets mail: of several words the most restrictive wins.

Pure. Never counts a word that it does not know as active. The lists are in docs/moving-in.md.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from operator import itemgetter
from typing import Final, NamedTuple

from mailer.models import SuppressionReason
from mailer.subscribers.importing.folding import fold
from mailer.subscribers.importing.opt_in_dates import may_be_date
from mailer.subscribers.importing.rows import ReaderStatus
from mailer.text.untrusted import printable_line

LONGEST_SHOWN: Final = 40
"""How many characters of an unknown word a message shows."""


class StatusVerdict(NamedTuple):
    """What one cell says. `severity` orders verdicts; `rejected` is why the row cannot be used, if so."""

    severity: int
    status: ReaderStatus
    reason: SuppressionReason | None = None
    rejected: str | None = None


class StatusColumn(StrEnum):
    """How the cells of a column are to be read."""

    WORD = "word"
    """A word of the lists; empty or unknown is rejected."""

    WORD_OR_DATE = "word or date"
    """The same, but a date means active: it says since when."""

    OPTIONAL = "optional"
    """A word of the lists, but the service leaves it empty for people who get mail."""

    HINT = "hint"
    """Something else called a status: only words that can mean nothing else count."""

    PERMISSION = "permission"
    """The same, and a plain no counts too; a yes, and whatever else stands there, does not."""

    STATE = "state"
    """A word of the lists, or something else, such as a part of a country; what is unknown does not count."""

    CONFIRMED = "confirmed"
    """Whether, or when, they confirmed; no and empty are rejected."""

    LIKELY_PERMISSION = "likely permission"
    """Seems to say whether they want mail: a plain no is rejected."""

    LIKELY_GONE = "likely gone"
    """Seems to say that they get no mail: all but false and empty is rejected."""

    LIKELY_UNSUBSCRIBED = "likely unsubscribed"
    LIKELY_BOUNCED = "likely bounced"
    LIKELY_COMPLAINED = "likely complained"
    LIKELY_BLOCKED = "likely blocked"
    """Seems to say that they get no mail: yes and dates mean it, and other words are rejected or known."""

    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    BLOCKED = "blocked"
    """True, or anything but false and empty, means what the column is called."""


def _rejected(reason: str) -> StatusVerdict:
    return StatusVerdict(2, ReaderStatus.ACTIVE, None, reason)


ACTIVE: Final = StatusVerdict(0, ReaderStatus.ACTIVE)
UNSUBSCRIBED: Final = StatusVerdict(3, ReaderStatus.UNSUBSCRIBED)
BLOCKED: Final = StatusVerdict(4, ReaderStatus.SUPPRESSED, SuppressionReason.STAFF)
BOUNCED: Final = StatusVerdict(5, ReaderStatus.SUPPRESSED, SuppressionReason.BOUNCED)
COMPLAINED: Final = StatusVerdict(6, ReaderStatus.SUPPRESSED, SuppressionReason.COMPLAINED)

PAUSED: Final = StatusVerdict(
    1, ReaderStatus.ACTIVE, None, 'the status "paused" says not since when; ask them to sign up'
)
"""Taken as paused if the row says since when."""

EMPTY: Final = _rejected("the status is empty; only readers with a status are taken over")
NEVER_SUBSCRIBED: Final = _rejected(
    "the file is of people who never subscribed, or were archived; ask them to sign up"
)

ACTIVE_WORDS: Final = (
    *("subscribed", "active", "enabled", "confirmed", "true", "yes", "y", "t", "1", "on"),
    *("opted in", "opt in", "optin", "double opt in", "subscriber", "single opt in"),
    *("abonniert", "aktiv", "bestätigt", "angemeldet", "ja", "wahr"),
    *("abonné", "abonnée", "inscrit", "inscrite", "actif", "confirmé", "confirmée", "oui", "vrai"),
    *("подписан", "подписана", "подписчик", "активен", "активна", "активный", "активно"),
    *("подтвержден", "подтверждена", "да", "բաժանորդագրված", "ակտիվ", "հաստատված", "այո"),
    *("suscrito", "activo", "sí", "iscritto", "attivo", "sì", "inscrito", "ativo", "sim"),
    *("geabonneerd", "actief"),
)
_SPECIFIC_UNSUBSCRIBED: Final = (
    *("unsubscribed", "unsubscribe", "opted out", "opt out", "optout", "global unsubscribe"),
    *("abgemeldet", "abbestellt", "ausgetragen", "désabonné", "désabonnée", "désinscrit"),
    *("désinscrite", "отписан", "отписана", "отписался", "отписалась", "отписка"),
    *("բաժանորդագրությունից հրաժարված", "հրաժարված", "ապաբաժանորդագրված"),
    *("dado de baja", "desuscrito", "desuscrita", "disiscritto", "descadastrado", "uitgeschreven"),
    *("afgemeld", "wypisany", "wypisana", "odhlášen", "avregistrerad", "afmeldt", "avmeldt"),
)
_REFUSED_WORDS: Final = (
    *("denied", "declined", "refused", "withdrawn", "revoked", "objected"),
    *("widerrufen", "widersprochen", "verweigert", "refusé", "отказано"),
)
UNSUBSCRIBED_WORDS: Final = (
    *_SPECIFIC_UNSUBSCRIBED,
    *("cancelled", "canceled", "left", "removed", "disabled", "false", "no", "n", "f", "0", "off"),
    *_REFUSED_WORDS,
    *("nein", "falsch", "gekündigt", "non", "faux", "нет", "отключен", "ոչ", "nee", "não"),
)
BOUNCED_WORDS: Final = (
    *("cleaned", "bounced", "bounce", "hard bounced", "hard bounce", "hardbounce", "hardbounced"),
    *("undeliverable", "invalid", "invalid email", "unzustellbar", "ungültig", "invalide"),
    *("недоставляемый", "недействителен", "անվավեր"),
)
COMPLAINED_WORDS: Final = (
    *("complained", "complaint", "complainer", "spam", "marked as spam", "spam complaint"),
    *("spam report", "reported spam", "reported as spam", "abuse", "abuse complaint", "junk"),
    *("beschwerde", "plainte", "жалоба", "спам", "բողոք", "սպամ"),
)
BLOCKED_WORDS: Final = (
    *("blocklisted", "blacklisted", "blocked", "banned", "spammy", "suppressed", "do not email"),
    *("do not mail", "do not contact", "gesperrt", "blockiert", "bloqué", "bloquée", "liste noire"),
    *("заблокирован", "заблокирована", "черный список", "արգելափակված"),
)
UNCONFIRMED_WORDS: Final = (
    *(
        "unconfirmed",
        "not confirmed",
        "unverified",
        "never confirmed",
        "unactivated",
        "unbestätigt",
    ),
    *("nicht bestätigt", "non confirmé", "non confirmée", "не подтвержден", "не подтверждена"),
    *("неподтвержден", "չհաստատված"),
    *(
        "awaiting confirmation",
        "pending confirmation",
        "confirmation pending",
        "no permissions set",
    ),
    *("non subscribed", "nonsubscribed", "not subscribed", "never subscribed", "transactional"),
)
WAITING_WORDS: Final = (
    *("pending", "inactive", "waiting", "invited", "validating", "needs approval"),
    *("needs attention", "archived", "deleted", "trash", "ausstehend", "inaktiv"),
    *("en attente", "inactif", "ожидает", "неактивен", "неактивный", "սպասող", "ոչ ակտիվ"),
)
_YES_WORDS: Final = (
    *("true", "yes", "y", "t", "1", "on", "x", "✓", "✔", "ja", "wahr", "oui", "vrai", "да", "այո"),
    *("sí", "sì", "sim"),
)
_EMPTY_WORDS: Final = ("", "none", "null", "n a", "nan")
_FALSE_WORDS: Final = (
    *(*_EMPTY_WORDS, "false", "no", "n", "f", "0", "off", "nein", "falsch", "non", "faux"),
    *("нет", "ոչ", "nee", "não", "never", "nie", "jamais", "никогда"),
)

_FLAGS: Final = {
    StatusColumn.UNSUBSCRIBED: UNSUBSCRIBED,
    StatusColumn.BOUNCED: BOUNCED,
    StatusColumn.COMPLAINED: COMPLAINED,
    StatusColumn.BLOCKED: BLOCKED,
}


_LIKELY: Final = {
    StatusColumn.LIKELY_UNSUBSCRIBED: UNSUBSCRIBED,
    StatusColumn.LIKELY_BOUNCED: BOUNCED,
    StatusColumn.LIKELY_COMPLAINED: COMPLAINED,
    StatusColumn.LIKELY_BLOCKED: BLOCKED,
}
TELLING: Final = frozenset(
    {StatusColumn.WORD, StatusColumn.WORD_OR_DATE, *_FLAGS, *_LIKELY},
)
"""A column of one of these kinds says who left; the others alone do not."""


def _table() -> Mapping[str, StatusVerdict]:
    lists: Iterable[tuple[Iterable[str], StatusVerdict]] = (
        (ACTIVE_WORDS, ACTIVE),
        (UNSUBSCRIBED_WORDS, UNSUBSCRIBED),
        (BOUNCED_WORDS, BOUNCED),
        (COMPLAINED_WORDS, COMPLAINED),
        (BLOCKED_WORDS, BLOCKED),
        (_EMPTY_WORDS, EMPTY),
        (("paused",), PAUSED),
    )
    words = {fold(word): verdict for listed, verdict in lists for word in listed}
    for word in (*UNCONFIRMED_WORDS, *WAITING_WORDS):
        words[fold(word)] = _rejected(
            f'the status "{word}" means that they never confirmed, or get no mail there; '
            "ask them to sign up"
        )
    return words


_WORDS: Final = _table()
_SPECIFIC: Final = frozenset(
    map(
        fold,
        (
            *(*_SPECIFIC_UNSUBSCRIBED, *UNCONFIRMED_WORDS, *COMPLAINED_WORDS[:7]),
            *("cleaned", "bounced", "hard bounced", "hard bounce", "undeliverable"),
            *("blocklisted", "blacklisted", "blocked", "banned", "suppressed"),
            *("do not email", "do not mail", "do not contact"),
        ),
    )
)
"""Words that say in any column with "status" in its name that somebody gets no mail."""

_FALSE: Final = frozenset(map(fold, _FALSE_WORDS))
_YES: Final = frozenset(map(fold, _YES_WORDS))
_NO: Final = frozenset(word for word in _FALSE if _WORDS.get(word) is UNSUBSCRIBED)
_REFUSED: Final = _NO | frozenset(map(fold, _REFUSED_WORDS))
_LONGEST_CODE: Final = 3
"""Words of so few letters beside a city are parts of countries, such as ON and NO."""


_SPELT: Final = _SPECIFIC | {word.replace(" ", "_") for word in _SPECIFIC}


def any_says_left(cells: Iterable[str]) -> StatusVerdict:
    """Return the most restrictive of the words in these cells that can only be about a reader's mail."""
    words = _SPELT.intersection(map(str.lower, cells))
    return max((_WORDS[fold(word)] for word in words), key=itemgetter(0), default=ACTIVE)


def says_when(cell: str) -> bool:
    """Tell whether a cell of a column of times holds one; MySQL writes 0000-00-00 for none."""
    return bool(cell.strip(" 0-/:.T")) and fold(cell) not in _FALSE


def judge(kind: StatusColumn, cell: str, *, inactive_left: bool, column: str = "") -> StatusVerdict:
    """Decide what the `cell` of a column of this kind says.

    Args:
        inactive_left: "inactive" means unsubscribed, as it does at Beehiiv.
        column: what the column is called, for messages.
    """
    word = fold(cell)
    if kind in _FLAGS:
        return ACTIVE if word in _FALSE else _FLAGS[kind]
    if kind in _LIKELY or kind is StatusColumn.LIKELY_GONE:
        return _judge_likely(kind, cell, column)
    if kind in {StatusColumn.HINT, StatusColumn.PERMISSION, StatusColumn.LIKELY_PERMISSION}:
        return _judge_hint(kind, cell, column)
    if kind is StatusColumn.STATE:
        return _WORDS.get(word, ACTIVE) if len(word) > _LONGEST_CODE else ACTIVE
    if kind is StatusColumn.CONFIRMED and word in _NO:
        return _rejected(f"{_said(column, cell)}, so they never confirmed; ask them to sign up")
    if inactive_left and word == "inactive":
        return UNSUBSCRIBED
    return _judge_word(kind, cell)


def _judge_word(kind: StatusColumn, cell: str) -> StatusVerdict:
    verdict = _WORDS.get(fold(cell))
    if verdict is EMPTY and kind is StatusColumn.OPTIONAL:
        return ACTIVE
    with_dates = kind in {StatusColumn.WORD_OR_DATE, StatusColumn.CONFIRMED}
    if verdict is None and with_dates and may_be_date(cell):
        return ACTIVE
    return verdict or _rejected(
        f'the status "{_shown(cell)}" is not known; see docs/moving-in.md for the words that are'
    )


def _judge_hint(kind: StatusColumn, cell: str, column: str) -> StatusVerdict:
    word = fold(cell)
    if kind is StatusColumn.PERMISSION and word in _REFUSED:
        return UNSUBSCRIBED
    if kind is StatusColumn.LIKELY_PERMISSION and word in _REFUSED:
        return _doubtful(column, cell)
    return _WORDS[word] if word in _SPECIFIC else ACTIVE


def _judge_likely(kind: StatusColumn, cell: str, column: str) -> StatusVerdict:
    word = fold(cell)
    if word in _FALSE or not says_when(cell):
        return ACTIVE
    found = _WORDS.get(word)
    if kind in _LIKELY:
        if word in _YES or may_be_date(cell):
            return _LIKELY[kind]
        if found is not None and found.severity >= UNSUBSCRIBED.severity:
            return found
        if found is ACTIVE and "status" in fold(column):
            return ACTIVE
        if "reason" in fold(column):
            return _LIKELY[kind]
    return _doubtful(column, cell)


def _doubtful(column: str, cell: str) -> StatusVerdict:
    return _rejected(
        f"{_said(column, cell)}, as if they got no mail; if they do, remove that column, "
        "or name the one that counts with --map status=COLUMN"
    )


def _said(column: str, cell: str) -> str:
    return f'the column "{_shown(column)}" says "{_shown(cell)}"'


def _shown(text: str) -> str:
    return printable_line(text[: 2 * LONGEST_SHOWN], LONGEST_SHOWN).replace('"', "'")
