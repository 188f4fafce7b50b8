"""Tells by the name of a column whether its cells say who gets mail, and how they say it.

Pure. A name that is not listed but speaks of leaving, of bounces or of permission is never overlooked.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from mailer.subscribers.importing import column_names
from mailer.subscribers.importing.status_words import StatusColumn

_STATE: Final = "state"
_NO_STATUS: Final = {
    # WordPress writes 0 for everybody.
    "userstatus": frozenset({"user login", "user nicename", "user registered"}),
    # phpList tells by it who confirmed by themselves, and by "confirmed" who gets mail.
    "optedin": frozenset({"bouncecount", "uniqid"}),
    # In the mailer's own export it names the newsletter, which may be that of Norway, "no".
    "newsletter": frozenset({"paused at"}),
}
"""Columns that are no statuses beside one of these others."""

_OTHER_MAIL: Final = re.compile(
    r"sms|whatsapp|phone|telefon|mobil|\bfax|push|postal|direct ?mail|\blinks?\b|\burls?\b|href|token|hash"
    r"|uuid|\bcounts?\b|total|number|\brates?\b|percent|score|bouncecount"
)
"""What is in the names of columns about other messages, or of links and counts."""

_PAYMENT: Final = re.compile(
    r"paid|premium|stripe|payment|\bplan|trial|gift|compl|price|tier|active ?subscription|digest|donat"
    r"|factor|comment|chat|podcast|notification|card"
)
"""What is in the names of columns about something else that is subscribed to or enabled."""

_LIKELY: Final = (
    (
        StatusColumn.LIKELY_UNSUBSCRIBED,
        re.compile(
            r"un ?sub|opt(?:ed)? ?out|suppress(?:ed|ions?)? (?:date|time|timestamp|at|on)$"
            r"|abbestell|abgemeldet|abmeld|austrag|ausgetragen|widerruf|widerspr"
            r"|d.sabonn|d.sinscri|отпис|отказ|dado de baja|fecha (?:de )?(?:la )?baja|^baja\b|disiscri"
            r"|uitgeschreven|uitschrij|af(?:ge)?meld|desuscri|descadastr|wypis|odhl|avregist|avmeld|ապաբաժ|հրաժար"
        ),
    ),
    (
        StatusColumn.LIKELY_BOUNCED,
        re.compile(
            r"bounced|hard ?bounce|bounce ?(?:date|type|reason|time|at|on|category|status|code)\b|bounce$"
            r"|^(?:is )?(?:e ?mail )?invalid(?: e ?mail)?(?: address)?$|undeliverable"
        ),
    ),
    (StatusColumn.LIKELY_COMPLAINED, re.compile(r"complain|\bspam")),
    (
        StatusColumn.LIKELY_BLOCKED,
        re.compile(
            r"bla?o?ck ?list|suppress|do ?not ?(?:send ?)?(?:e ?mail|mail|contact|market|send)"
            r"|\bdn[cme]\b|gesperrt|liste noire|robinson"
        ),
    ),
    (
        StatusColumn.LIKELY_GONE,
        re.compile(
            r"^(?:(?:is|was|has been) ?)?(?:removed|deleted|archived|disabled|deactivated|inactive|banned"
            r"|paused|pending|left|cancell?ed|excluded|trashed)(?: ?(?:at|on|date|time|by|reason))?$"
            r"|^(?:date|time) ?(?:removed|deleted|archived|disabled|left)$|excluded ?from"
            r"|k.ndigung|gek.ndigt"
        ),
    ),
)
_CONFIRMED: Final = re.compile(
    r"^(?:(?:is|has|was|this|the|user|subscriber|subscription|e ?mail|address) ?)*confirmed$"
    r"|^(?:bestätigt|confirmée?|подтвержден[ао]?|հաստատված)$"
)
_LIKELY_PERMISSION: Final = re.compile(
    r"subscri|abon|newsletter|rundbrief|infolettre|opt(?:ed)? ?in\b|consent|permission|einwillig|werbung"
    r"|согласи|рассыл|подпис|բաժանորդ|համաձայն|receiv|wants?\b|send|mailing ?list|may e?mail|allow|enabled"
    r"|\bactive$|verified|double ?opt|\bdoi$|\bgdpr|\bdsgvo|\brgpd|marketing|\bvalid|deliverable"
    r"|confirmed"
)
_ABOUT_MAIL: Final = re.compile(r"confirm|consent|permission|mail|deliver|reach")
_TYPE: Final = re.compile(r"^(?:(?:subscriber|contact|member|user) ?)?(?:type|kind)$")


def _compact(name: str) -> str:
    return name.replace(" ", "")


def _by_compact_name() -> Mapping[str, StatusColumn]:
    kinds = {_compact(name): kind for name, kind in column_names.STATUS.items()}
    kinds |= {_compact(name): StatusColumn.PERMISSION for name in column_names.PERMISSION}
    return kinds | {_compact(name): StatusColumn.WORD_OR_DATE for name in column_names.OR_DATE}


_KINDS: Final = _by_compact_name()


def kind_of_column(name: str, names: Collection[str]) -> StatusColumn | None:
    """Return how the cells of a column say who gets mail; None if they say nothing of it.

    Args:
        name: folded, like all `names` of the file.
    """
    compact = _compact(name)
    if compact == _STATE and not column_names.PLACE.isdisjoint(names):
        return StatusColumn.STATE
    if not _NO_STATUS.get(compact, frozenset()).isdisjoint(names):
        return StatusColumn.HINT
    if compact in _KINDS:
        return _KINDS[compact]
    if name in column_names.PAUSED or _OTHER_MAIL.search(name):
        return None
    for kind, pattern in _LIKELY:
        if pattern.search(name):
            return kind
    if column_names.LIKELY_STATUS.search(name):
        if column_names.LIKELY_SUBSCRIPTION.search(name):
            return StatusColumn.WORD
        return StatusColumn.STATE if _ABOUT_MAIL.search(name) else StatusColumn.HINT
    return _by_other_signs(name)


def _by_other_signs(name: str) -> StatusColumn | None:
    if _CONFIRMED.search(name):
        return StatusColumn.CONFIRMED
    if name.endswith(_STATE) or _TYPE.search(name):
        return StatusColumn.STATE
    if _LIKELY_PERMISSION.search(name) and not _PAYMENT.search(name):
        return StatusColumn.LIKELY_PERMISSION
    return None
