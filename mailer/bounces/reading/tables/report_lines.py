"""Lists the lines by which a bounce's text can be read: what introduces, labels and ends what."""

from typing import Final

from mailer.bounces.reading.tables.phrases import phrases

INTRODUCTIONS: Final = phrases("""
    following recipient
    following address
    following user
    following e-mail
    following email
    did not reach
    folgende empfanger
    folgenden empfanger
    folgenden adressen
    destinataires suivants
    destinataire suivant
    adresses suivantes
    siguientes destinatarios
    siguiente destinatario
    seguintes destinatarios
    seguinte destinatario
    seguenti destinatari
    seguente destinatario
    volgende geadresseerden
    volgende ontvangers
    следующ
    nastepujac
    次の受信者
    次の宛先
    以下收件人
    下列收件者
    다음 받는 사람
    다음 수신자
""")
"""What stands before the addresses that a bounce is about, and behind those that it was written to."""
MARKERS: Final = phrases("""
    below this line is a copy
    below the next line is a copy
    this is a copy of the
    this is a copy of your
    original message -----
    original message follows
    original message attached
    unsent message follows
    unsent message below
    message header follows
    message headers follow
    header of the original message
    start of returned message
    returned mail follows
    returned mail -----
    message text follows
    your message reads
    here is your returned mail
    returned message follows
    original mail as follows
    old message:
    original message headers
    original message header
    en-tetes de message d
    intestazioni originali
    included is a copy
    a copy of the original message
    original message details
    original message:
    ----- original message
    copy of the original message
    your original message
    message header:
    headers follow
    ursprungliche nachricht
    returned message:
    text of the message
    rejected message
    original-kopfzeilen
    encabezados de mensajes
    original headers
    original-nachricht
    message headers:
    full headers
    first 100 lines
    undelivered message follows
""")
"""What stands in the line above a returned mail."""
LABELS: Final = phrases("""
    recipient
    empfanger
    destinat
    ontvanger
    odbiorca
    adresat
    получател
    адресат
    mottagare
    addressed to
    delivered to
    delivery to
    deliver to
    deliver mail to
    message to
    mail to
    email to
    address:
    adresse
    direccion
    endereco
    indirizzo
    user:
    user_
    failed
    mailbox
    account
    error-for
    undeliverable
    unknown
    to:
    宛先
    收件人
    받는
    alici
    an:
    intended
    smtp:
    reach
    utente
    utilisateur
    usuario
    benutzer
    gebruiker
    пользовател
    uzytkownik
    address
""")
"""What stands before an address that a bounce is about."""
NOT_ABOUT: Final = phrases("""
    from:
    from_
    sender
    von:
    de:
    postmaster
    contact
    please_
    support
    help
    mailto:
    reply
    message-id
    message id
    abuse@
    subject
    http
    hostmaster
    your message of
    sent by
    administrator at
    sent:
    wrote
    mail from
    questions
    envelope-from
    return-path
    questo messaggio da
    cc:
    from=
""")
"""What stands before an address that a bounce is not about."""
