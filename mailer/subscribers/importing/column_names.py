"""Lists the names that columns of readers have in exports of other services and in spreadsheets.

Pure. Never holds a name in any other form than `fold` gives it.
"""

import re
from collections.abc import Mapping
from typing import Final

from mailer.subscribers.importing.folding import fold
from mailer.subscribers.importing.status_words import StatusColumn


def _names(*lines: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fold(name) for line in lines for name in line.split(",")))


EMAIL: Final = _names(
    "email,email address,e mail,e mail address,emailaddress,mail,mail address,subscriber email",
    "user email,user email address,contact email,primary email,email id,your email,customer email",
    "your email address,e mail 1 value,email 1,emails,personal email",
    "e mail adresse,email adresse,mailadresse,emailadresse,ihre e mail adresse",
    "adresse e mail,adresse email,adresse mail,courriel,adresse courriel,adresse électronique,mél",
    "электронная почта,эл почта,почта,адрес электронной почты,email адрес,имейл,емейл,e mail адрес",
    "էլ փոստ,էլփոստ,էլեկտրոնային փոստ,էլ հասցե,էլեկտրոնային հասցե,էլ փոստի հասցե",
    "correo,correo electrónico,dirección de correo electrónico,indirizzo email,e mailadres,e post",
    "subscriber",
)
EMAIL_NAMES: Final = frozenset(EMAIL)
LIKELY_EMAIL: Final = re.compile(r"\be ?mail|\bпочт|փոստ|courriel|correo")
NO_EMAIL: Final = re.compile(
    r"status|type|open|click|sent|receiv|deliver|drop|count|number|disabled|enabled|list|campaign|bounc"
    r"|market|permission|source|verified|valid|confirm|optin|opt in|opt out|subscri|date|time|domain"
    r"|client|program|format|language|second|alternat|other|2|3|seen|\bper\b|preference|consent|digest"
)
"""What is in the name of a column about mails that holds no address."""

NAME: Final = _names(
    "name,full name,fullname,display name,subscriber name,contact name,user name full,your name",
    "your full name,real name,member name,customer name",
    "vollständiger name,vor und nachname,nom complet,nom et prénom,prénom et nom",
    "фио,полное имя,имя и фамилия,անուն ազգանուն,nombre completo,nome completo",
)
FIRST: Final = _names(
    "first name,firstname,fname,first,given name,givenname,forename,name first,vorname,prénom,prenom",
    "имя,անուն,nombre,nome,voornaam,förnamn",
)
LAST: Final = _names(
    "last name,lastname,lname,last,surname,family name,familyname,name last,nachname,familienname",
    "nom de famille,nom,фамилия,ազգանուն,apellidos,apellido,cognome,sobrenome,achternaam,efternamn",
)
NAME_OR_LAST: Final = frozenset(_names("nom"))
FIRST_BESIDE_NAME: Final = frozenset(_names("vorname,voornaam,förnamn"))

_WORD_COLUMNS: Final = _names(
    "status,state,subscription state,subscriber state,subscription status,subscriber status",
    "email status,member status,contact status",
    "subscriptionstatus,subscriberstatus,email marketing status,email subscription status",
    "email marketing,list status,global status,user status,newsletter status,optin status",
    "opt in status,opt in,optin,opted in,email opt in,email optin,newsletter opt in",
    "subscribed,is subscribed,subscribed to emails,is active,active,accepts email marketing",
    "accepts marketing,email marketing consent,marketing consent,newsletter subscription",
    "abonnementstatus,anmeldestatus,abonniert,aktiv,listenstatus,globaler status,listen status",
    "statut,statut de l'abonnement,statut d'abonnement,abonné,inscrit,statut de la liste,statut global",
    "статус,статус подписки,подписан,статус списка,глобальный статус,կարգավիճակ,բաժանորդագրված",
    "stav,stan,tila,állapot,státusz,durum,κατάσταση,situação,stare,estatus,状态,状態,ステータス,סטטוס,الحالة",
    "estado,stato,suscrito,iscritto,estado de suscripción,stato iscrizione",
)
_FLAG_COLUMNS: Final = {
    StatusColumn.UNSUBSCRIBED: _names(
        "unsubscribed,is unsubscribed,opted out,opt out,optout,has opted out,email opt out",
        "email disabled,emails disabled,has opted out of email,unsubscribed from emails,deleted at",
        "unsub campaign title,unsub campaign id,unsub reason",
        "email unsubscribed,globally unsubscribed,unsub,abgemeldet,désabonné,désinscrit,отписан",
        "ապաբաժանորդագրված,հրաժարված",
    ),
    StatusColumn.BOUNCED: _names(
        "bounced,is bounced,hard bounced,hard bounce,email bounced,cleaned,clean time,cleaned at",
        "clean campaign title,clean campaign id,bounced at,hard bounced at",
    ),
    StatusColumn.COMPLAINED: _names(
        "complained,complaint,complaints,spam,marked as spam,spam complaint,reported spam,complained at",
    ),
    StatusColumn.BLOCKED: _names(
        "email blacklisted,email blacklist,email blocklisted,email blocklist,emailblacklisted",
        "blacklisted,blocklisted,is blacklisted,is blocklisted,blocked,suppressed,is suppressed",
        "do not email,do not mail,do not contact,blocked at,blocklisted at,suppressed at",
        "email auf blacklist,liste noire email,gesperrt,заблокирован",
    ),
}
STATUS: Final[Mapping[str, StatusColumn]] = {
    **dict.fromkeys(_WORD_COLUMNS, StatusColumn.WORD),
    **{name: kind for kind, names in _FLAG_COLUMNS.items() for name in names},
    # AWeber writes there only why somebody gets no mail any more.
    "stop status": StatusColumn.OPTIONAL,
}
PERMISSION: Final = frozenset(
    _names(
        "newsletter,newsletters,receives newsletter,wants newsletter,mailing list,mailing,email permission",
        "may email,permission,consent,gdpr consent,gdpr,email consent,einwilligung,infolettre,rundbrief",
        "рассылка,согласие,համաձայնություն,լրատու",
    )
)
"""Columns in which a plain no means that somebody gets no mail."""

OR_DATE: Final = frozenset(
    _names("subscribed,opt in,optin,opted in,abonniert,abonné,inscrit,подписан")
)
"""Of the columns of words those in which some services write the time at which it began."""

PLACE: Final = frozenset(
    _names("city,country,zip,zip code,postal code,street,address,region,town,county,province")
)
"""Beside these, a state is a part of a country."""

LIKELY_SUBSCRIPTION: Final = re.compile(
    r"subscri|suscri|iscri|abon|newsletter|opt ?in\b|подпис|рассыл|բաժանորդ|glob|\blist|спис"
)
"""What is in the name of a status beside that word if it can only be that of a subscription."""

LIKELY_STATUS: Final = re.compile(r"status|statut|estado|статус|կարգավիճակ|\bstato\b")
"""What is in the names of other columns, in which words that can mean nothing else count."""

OPTED_IN: Final = _names(
    "optin time,opt in time,optin date,opt in date,opted in at,opted in on,optin timestamp",
    "opt in timestamp,consent time,consent date,consented at",
    "subscription time,subscribed at,subscribed on,subscribe date,subscribe time,subscription date",
    "subscribed date,date subscribed,subscription created at,signup date,sign up date,signup time",
    "sign up time,signed up at,signed up,signed up on,signup timestamp,timestamp signup,join date,joined",
    "date joined,joined at,start date,registration date,date registered,registered at",
    "confirm time,confirmation time,confirmed at,confirmed on,confirmation date,confirm date",
    "created at,created,creation date,date created,created on,created time,added time,added at,added",
    "added on,date added,created utc,createdat,timestamp",
    "anmeldedatum,angemeldet am,anmeldung am,abonniert am,bestätigt am,erstellt am,eintragungsdatum",
    "date d'inscription,inscrit le,date de confirmation,date d'ajout,créé le,date de création",
    "дата подписки,дата регистрации,подписан с,дата подтверждения,дата добавления,дата создания",
    "բաժանորդագրման ամսաթիվ,գրանցման ամսաթիվ,հաստատման ամսաթիվ,fecha de suscripción,fecha de alta",
    "data iscrizione,data di iscrizione",
)
IP: Final = _names(
    "optin ip,opt in ip,subscription ip,subscribed ip,signup ip,sign up ip,ip signup,ip opt",
    "subscriber's ip,subscribers ip,subscriber s ip,confirm ip,confirmation ip,confirmed ip,ip address",
    "ip,ip adresse,adresse ip,ip адрес,ip հասցե,registration ip,ipaddress,optin ip address",
    "opt in ip address,signup ip address",
)
LEFT: Final = _names(
    "unsub time,unsub date,unsub at,stop time,unsubscribed at,unsubscribe time,unsubscribed on",
    "unsubscribe date,unsubscribed date",
    "date unsubscribed,unsubscription date,unsubscription time,opt out date,optout date,opt out time",
    "optout time,opted out at,left at,left on,unsubscribed time,unsubscribe timestamp",
    "abgemeldet am,abmeldedatum,désabonné le,date de désabonnement,date de désinscription",
    "дата отписки,հրաժարման ամսաթիվ,fecha de baja,data disiscrizione",
    "clean time,cleaned at,bounced at,complained at,blocklisted at,suppressed at",
)
_LEAVING: Final = re.compile(r"unsubscri|opt(?:ed)? ?out\b")
_TIMES: Final = frozenset({"date", "time", "timestamp", "at", "on"})
SOURCE: Final = _names(
    "signup source,sign up source,opt in source,optin source,subscription source,acquisition source",
    "subscription source (free),consent source,source,quelle,origine,источник,աղբյուր,utm source",
)
LANGUAGE: Final = _names("language,lang,preferred language,sprache,langue,язык,լեզու,idioma,lingua")
PAUSED: Final = _names("paused at,paused since")
"""Only the mailer's own export has it."""
OWN: Final = frozenset(_names("email,newsletter,schedule,opted in at,paused at"))
"""Columns that only the mailer's own export has together."""


def is_likely_left(name: str) -> bool:
    """Tell whether a column that is not listed says by its name when people left, such as "date opted out".

    Args:
        name: folded.
    """
    if "sms" in name or not _LEAVING.search(name):
        return False
    words = name.split(" ")
    return words[-1] in _TIMES or words[0] in _TIMES
