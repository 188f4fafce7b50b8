# Long because it is one table.
"""Lists what mails by machines say about themselves: failed, delayed, away, to be confirmed."""

from typing import Final

from mailer.bounces.reading.tables.phrases import phrases

FAILURE_SUBJECTS: Final = phrases("""
    undeliver
    undelivered
    nondeliverable
    non deliverable
    not deliverable
    non-delivery
    nondelivery
    non delivery
    could not be delivered
    couldnt be delivered
    cannot be delivered
    not delivered
    not be delivered
    unable to deliver
    unable to be delivered
    delivery failure
    delivery failed
    delivery fail
    delivery has failed
    delivery error
    delivery problem
    delivery notification
    delivery status
    delivery report
    delivery unsuccessful
    delivery trouble
    delivery system
    failed delivery
    failed mail
    failed to deliver
    failure notice
    failure delivery
    failure notification
    delivery to
    mail delivery
    mail failure
    mail failed
    mail error
    mail system error
    mail returned
    mail rejected
    mail undeliver
    mail status report
    message status
    message not
    message rejected
    message failure
    message you sent
    returned mail
    returned email
    returned message
    returned to sender
    return to sender
    returning message
    returned by mail
    return receipt * fail
    email returned
    e-mail returned
    email delivery
    rejected mail
    rejected message
    rejected:
    bounced
    bounce mail
    unknown user
    user unknown
    nameserver error
    invalid address
    error sending
    unzustellbar
    nicht zustellbar
    nicht zugestellt
    zustellung
    fehlgeschlagen
    zuruckgewiesen
    non remis
    non delivre
    non distribu
    echec
    retour du message
    impossible de remettre
    no entreg
    no se pudo entregar
    no se ha podido entregar
    error de entrega
    fallo en la entrega
    devuelto
    no se puede entregar
    nao entregue
    nao foi entregue
    nao pode ser entregue
    falha na entrega
    falha no envio
    falha
    devolvid
    non recapit
    mancata consegna
    mancato recapito
    impossibile recapitare
    errore di consegna
    onbestelbaar
    niet afgeleverd
    niet bezorgd
    kan niet worden bezorgd
    недоставлен
    не доставлен
    не может быть доставлен
    ошибка доставки
    не удается доставить
    невозможно доставить
    niedorecz
    nie dostarczono
    nie moze zostac dostarczona
    zwrot wiadomosci
    zwrot poczty
    nedorucitel
    kezbesithetetlen
    oleveransbar
    kunde inte levereras
    kunne ikke leveres
    teslim edilem
    iletilem
    geri dondu
    配信できませんでした
    配信不能
    配信不可
    配信エラー
    未達
    送信できません
    不達
    エラー
    退信
    投递失败
    发送失败
    无法投递
    无法送达
    未送达
    传递失败
    退回
    系统退信
    无法传递
    傳遞失敗
    無法傳遞
    寄送失敗
    退件
    无法传送
    배달되지
    배달 실패
    배달 불가
    반송
    발송 실패
    전송 실패
    전달되지
""")
FAILURES: Final = phrases("""
    undeliver
    was not delivered
    not delivered
    were not delivered
    not been delivered
    not be delivered
    could not be delivered
    couldnt be delivered
    could not deliver
    couldnt deliver
    could not be sent
    cannot be delivered
    cant be delivered
    wasnt delivered
    cannot deliver
    cant deliver
    cannot be reached
    could not be reached
    couldnt reach
    unable to deliver
    unable to be delivered
    unable to send
    not able to deliver
    wasnt able to deliver
    failed to deliver
    failed to send
    failed to reach
    has failed
    have failed
    delivery failed
    delivery failure
    delivery error
    delivery to the following * failed
    delivery to the following
    delivery of your message failed
    did not reach
    didnt reach
    did not receive
    not receive a copy
    fatal errors
    delivery errors
    delivery problems
    had permanent
    permanent failure
    permanent error
    permanently
    address failed
    address(es) failed
    addresses failed
    recipients failed
    failed recipient
    failed addresses
    returned mail
    return to sender
    returned to sender
    being returned
    is returned
    returned to you
    has been returned
    returning your
    returned unopened
    bounced
    was rejected
    been rejected
    were rejected
    is rejected
    rejected your
    message rejected
    was refused
    is not accepting
    are not accepting
    was bounced
    was blocked
    mailbox is full
    mailbox full
    over quota
    user unknown
    unknown user
    no such user
    does not exist
    doesnt exist
    transcript of session
    original message follows
    copy of the message
    giving up
    given up
    error occurred
    encountered an error
    following error
    error delivering
    error in delivering
    problem delivering
    sorry
    nicht zugestellt
    nicht zustellbar
    nicht ubermittelt
    nicht ausgeliefert
    nicht gesendet werden
    konnte nicht
    konnten nicht
    zustellung * fehlgeschlagen
    zuruckgesendet
    unzustellbar
    na pas pu etre
    na pas ete
    ne peut pas etre
    nont pas pu
    non remis
    non distribue
    echec de la remise
    echec de remise
    impossible de
    no se pudo
    no se ha podido
    no ha podido
    no pudo ser
    no fue entregad
    no se puede
    no puede ser
    no pudieron
    nao pode ser
    nao foi possivel
    nao foi entregue
    nao puderam
    falha na entrega
    non e stato possibile
    non e stato recapitato
    non puo essere
    impossibile
    mancata consegna
    kon niet
    konden niet
    kan niet worden
    niet worden bezorgd
    niet worden afgeleverd
    niet afgeleverd
    не удалось
    не может быть доставлен
    не было доставлено
    не доставлен
    невозможно доставить
    не удается
    nie moze zostac
    nie zostala dostarczona
    nie mogla
    nie mozna dostarczyc
    nie udalo sie
    nebyla dorucena
    nelze dorucit
    nem kezbesitheto
    kunde inte
    kunne ikke
    iletilemedi
    teslim edilemedi
    ulastirilamadi
    gonderilemedi
    できませんでした
    配信できません
    配送できません
    届けできません
    お届けでき
    エラー
    送信されませんでした
    无法投递
    无法送达
    无法发送
    投递失败
    发送失败
    未能送达
    被退回
    退信
    无法到达
    無法傳遞
    無法投遞
    無法送達
    未送達
    退回
    배달하지 못
    배달되지
    전달하지 못
    전달되지
    전송하지 못
    보낼 수 없
    반송
""")
DELAYS: Final = phrases("""
    will keep trying
    will continue to try
    will continue trying
    continue to be attempted
    will continue to be
    still trying
    still being retried
    will be retried
    will try again
    will retry
    will be attempted
    retry until
    attempts will continue
    attempts continue
    next attempt
    warning: message * delayed
    warning message only
    warning: could not send message
    could not send message for past
    could not send message for the past
    do not need to resend
    dont need to resend
    no need to resend
    not have to resend
    no action is required on your part
    not yet been delivered
    not been delivered yet
    has not yet been
    have not yet been
    not yet delivered
    not yet been possible
    is being delayed
    has been delayed
    is delayed
    was delayed
    delivery delay
    delivery is delayed
    message delayed
    delayed mail
    delayed message
    delayed delivery
    delivery status notification (delay)
    notification * delay
    temporarily undeliverable
    temporary failure for
    temporary non-fatal
    transient non-fatal
    still undelivered
    weiterhin versucht
    weitere zustellversuche
    wird weiterhin
    erneut versucht
    verzogert
    verzogerung
    noch nicht zugestellt
    sera retente
    retarde
    livraison differee
    remise differee
    nouvelles tentatives
    pas encore ete
    se seguira intentando
    seguira intentando
    se ha retrasado
    retraso en la entrega
    entrega retrasada
    todavia no se ha
    atraso na entrega
    entrega atrasada
    ainda nao foi
    continuara tentando
    e stato ritardato
    consegna ritardata
    ritardo
    non e ancora stato
    vertraagd
    vertraging
    nog niet
    доставка * задерж
    задержка
    задерживается
    попытки * продолж
    пока не доставлено
    opoznion
    opoznienie
    ponownie
    gecik
    遅延
    遅れて
    再試行
    再送
    延迟
    延遲
    仍在尝试
    继续尝试
    지연
    다시 시도
""")
FINAL: Final = phrases("""
    giving up
    given up
    gave up
    wont be retried
    will not be retried
    will not retry
    no further attempt
    no more attempts
    no longer try
    permanent error
    permanent failure
    permanent fatal
    permanently
    failed permanently
    could not be delivered for
    undeliverable for
    too long
    is being returned
    has been returned
    returned to sender
    expired
    unrecoverable
    delivery failed
    delivery has failed
    delivery to the following recipients failed
    delivery to the following recipient failed
    did not reach the following
    _554_
    _550_
""")
"""What a mail that only reports a delay does not say."""

VACATION_SUBJECTS: Final = phrases("""
    out of office
    out of the office
    out-of-office
    outofoffice
    out of town
    _ooo_
    _ooo:
    on vacation
    vacation
    on holiday
    holiday notice
    annual leave
    on leave
    maternity leave
    parental leave
    sick leave
    away from
    i am away
    im away
    away notice
    is away
    not in the office
    absence
    absent
    abwesen
    nicht im buro
    nicht im haus
    urlaub
    ausser haus
    im urlaub
    en vacances
    conges
    hors du bureau
    absence du bureau
    fuera de la oficina
    fuera de oficina
    ausente
    de vacaciones
    vacaciones
    fora do escritorio
    ausencia
    ferias
    fuori sede
    fuori ufficio
    assenza
    assente
    in ferie
    afwezig
    niet aanwezig
    vakantie
    poza biurem
    nieobecn
    urlop
    franvaro
    franvarande
    fravaer
    fravær
    ikke til stede
    poissa
    lomalla
    mimo kancelar
    nepritomn
    hazon kivul
    tavol
    izinde
    ofis disi
    ofiste degil
    disaridayim
    вне офиса
    отпуск
    отсутств
    не в офисе
    відпустк
    відсутн
    不在
    休暇
    外出中
    休假
    外出
    不在办公室
    外出办公
    부재중
    부재 중
    휴가
    خارج المكتب
    מחוץ למשרד
    εκτος γραφειου
""")
AUTOMATIC_SUBJECTS: Final = phrases("""
    _auto:
    _auto reply
    _auto-reply
    autoreply
    auto response
    auto-response
    autoresponse
    auto respon
    auto-respon
    autorespon
    auto answer
    automatic reply
    automatic response
    automatic email
    automatic e-mail
    automated reply
    automated response
    automated email
    automatically generated
    automatische antwort
    automatisch generierte
    automatische nachricht
    autoantwort
    reponse automatique
    accuse de reception automatique
    message automatique
    respuesta automatica
    contestacion automatica
    auto respuesta
    autorespuesta
    mensaje automatico
    resposta automatica
    auto-resposta
    mensagem automatica
    risposta automatica
    risposta automatic
    messaggio automatico
    automatisch antwoord
    automatische reactie
    automatisch bericht
    automatyczna odpowiedz
    odpowiedz automatyczna
    autoodpowiedz
    automaticka odpoved
    automatikus valasz
    automatiskt svar
    autosvar
    automatisk svar
    automaattinen vastaus
    automatvastaus
    otomatik yanit
    otomatik cevap
    автоответ
    автоматический ответ
    автоматична відповідь
    自動応答
    自動返信
    自动答复
    自动回复
    自動回覆
    自動答覆
    자동 회신
    자동 응답
    자동응답
    raspuns automat
    رد تلقائي
    תשובה אוטומטית
    αυτοματη απαντηση
    thank you for your email
    thank you for your e-mail
    thank you for contacting
    thank you for your message
    thanks for your email
    thanks for contacting
    we have received your
    we received your
    your request has been received
    ticket received
    case created
""")
AUTOMATIC_TEXTS: Final = phrases("""
    out of the office
    out of office
    out of town
    away from my
    away from the office
    i am away
    i am currently away
    i am on vacation
    i will be away
    im currently away
    im on vacation
    currently on vacation
    on vacation
    on annual leave
    on holiday
    on leave
    limited access to * mail
    no access to * mail
    will return on
    will be returning
    when i return
    upon my return
    will respond
    automatic reply
    automatic response
    automated response
    automated reply
    auto-reply
    autoreply
    auto response
    no longer work
    have left the company
    left the company
    nicht im buro
    nicht im hause
    ausser haus
    bin * abwesend
    im urlaub
    automatische antwort
    je suis absent
    je suis actuellement absent
    absent du bureau
    en conges
    en vacances
    de mon retour
    reponse automatique
    estoy fuera
    estare fuera
    fuera de la oficina
    de vacaciones
    respuesta automatica
    estou ausente
    estarei ausente
    de ferias
    fora do escritorio
    resposta automatica
    sono assente
    saro assente
    fuori ufficio
    in ferie
    risposta automatica
    ben ik afwezig
    ben niet aanwezig
    op vakantie
    ik ben
    jestem na urlopie
    jestem nieobecn
    przebywam na urlopie
    w biurze
    в отпуске
    буду отсутствовать
    меня не будет
    不在にして
    休暇
    外出しております
    休假
    不在办公室
    自动回复
    휴가
    부재
    ofis disinda
    izindeyim
""")
CHALLENGES: Final = phrases("""
    challenge
    boxbe
    spamarrest
    spam arrest
    bluebottle
    tmda
    sender verification
    verify that you are
    verify you are
    verify your email
    verify that this message
    confirm your message
    confirm your email
    confirm that you
    confirm that your
    confirm this mail
    confirm this message
    please confirm
    needs to be confirmed
    confirmation request
    request for confirmation
    authorization request
    approval required
    requires approval
    held for * verification
    held until
    mail is being held
    message is being held
    message has been held
    been held for
    placed on hold
    on hold until
    pending approval
    awaiting
    whitelist
    white list
    allowed senders
    approved senders
    approved sender
    guest list
    click * link * deliver
    to be delivered to
    reply to this message
    reply to this email
    replying to this
    to have your message delivered
    in order to deliver
    spamblocker
    spam blocker
    add you to
    add yourself
    prove that you are
    are a human
    real person
    mail protection
    knujon
""")
