# Long because it is one table.
"""Lists what servers say when they refuse a mail, by the reason for which they do.

The order decides where several are found. A line is a phrase as `mailer.bounces.reading.tables.phrases`
understands it; addresses in texts have become "@".
"""

from typing import Final

from mailer.bounces.reading.tables.phrases import Phrases, phrases
from mailer.bounces.reasons import Reason

_R = Reason

REFUSALS: Final[tuple[tuple[Reason, Phrases], ...]] = (
    (_R.NOT_ACCEPTING, phrases("""
        null mx
        nullmx
        does not accept mail (nullmx)
        does not accept mail because the administrator
        domain * does not accept mail
        domain does not accept email
        host does not accept mail
        host/domain does not accept mail
        does not accept e-mail
        this host does not accept mail
        server does not accept mail
        indicated no smtp service
        recipient address has null mx
        no longer accepts mail
        no longer accepting mail
        no longer accepts e-mail
        no longer accepts email
        no longer receives mail
        address no longer accepts
        mailbox is no longer in use
        address is no longer in use
        no longer in use
        no longer monitored
        this mailbox is not monitored and does not accept
        not able to receive mail for this domain
    """)),
    (_R.MOVED, phrases("""
        user has moved
        has moved to @
        address has changed
        has changed * email address
        has been replaced by
        recipient has moved
        mailbox has moved
        mailbox moved
        user not local; please try
        user not local please try
        please try @ instead
        new address is @
        new email address is
        new e-mail address is
        _moved permanently
        user has left
        _is now @
        forwarding address is @
        disabled; please use
    """)),
    (_R.MAILBOX_FULL, phrases("""
        over quota
        overquota
        over the quota
        over its quota
        over their quota
        over disk quota
        over-quota
        exceeded quota
        exceeded its quota
        exceeded their quota
        exceeded the quota
        exceeded * quota
        exceeds * quota
        exceed * quota
        exceeding * quota
        overdrawn * quota
        space not enough
        exceeds the recipients quota
        quota exceed
        quota exhausted
        quota violation
        quota full
        quota has been exceeded
        quota limit
        quota is full
        quota usage exceeded
        quota 100%
        quota has been reached
        quotaexceeded
        disk quota
        disc quota
        userdisk quota
        insufficient quota
        not enough quota
        out of quota
        reached * quota
        at quota
        mailbox full
        mailbox is full
        mailbox too full
        mailbox @ is full
        mailbox for @ is full
        mailbox for user is full
        mailbox * is full
        mailbox has exceeded
        mailbox exceeded
        mailbox exceeds
        mailbox would exceed
        mailbox size limit
        mailbox size exceed
        mailbox size is full
        mailbox over
        mailbox limit
        mailbox capacity
        mailbox storage
        mailbox space
        mailboxfull
        mailfull
        mail box full
        mail box is full
        full mailbox
        full mail box
        mail file is full
        mailfile is full
        mailfolder is full
        mail folder is full
        inbox is full
        inbox full
        in-box is full
        inbox has exceeded
        account is full
        account full
        account * is full
        account has exceeded
        account * exceeded * storage
        account storage limit
        maildrop is full
        maildir over
        storage allocation
        storage quota
        storage limit
        storage is full
        storage space
        storage full
        out of storage
        exceeded * storage
        exceeds allowed storage
        maximum allowed storage
        out of disk space for
        exceeded * disk space limit
        disk space * exceeded
        does not have enough space
        not enough space
        no space left for * user
        insufficient space
        insufficient disk space * mailbox
        users space has been used up
        has been used up
        too many messages in * mailbox
        too many messages on the server
        too much mail data
        too many mail data
        has too many messages
        number of messages in recipients mailbox exceeded
        mailbox contains too many
        exceed mailbox
        exceeded mailbox
        box full
        exceeding receiving limits
        mail file size exceeds the maximum size allowed
        would be over the allowed quota
        recipients mailbox is full
        users mailbox is full
        recipient storage full
        errorquota
        #5.2.2
        resolver.rst.recipsizelimit; mailbox full
        submissionquotaexceeded; mailbox
        mapiexceptionshutoffquotaexceeded
        stopquotaexceeded
        quota esauri
        boite du destinataire pleine
        boite aux lettres * pleine
        boite a lettres * pleine
        boite pleine
        boite de reception * pleine
        boite * est pleine
        boite * saturee
        quota depasse
        depassement de quota
        depasse * quota
        espace disque * depasse
        postfach ist voll
        postfach * voll
        postfach uberfull
        postfach uberlauf
        postfachspeicher
        mailbox ist voll
        mailbox voll
        mailbox * uberfullt
        kontingent uberschritten
        kontingent * uberschritten
        quota uberschritten
        speicherplatz * erschopft
        speicher * voll
        buzon lleno
        buzon * lleno
        buzon esta lleno
        casilla llena
        casilla * llena
        bandeja * llena
        cuota excedida
        excedido * cuota
        excede * cuota
        cuota de disco
        caixa postal cheia
        caixa * cheia
        caixa * lotada
        cota excedida
        quota excedida
        excedeu * cota
        excedeu * quota
        excedeu * limite
        casella piena
        casella * piena
        casella * satura
        quota superata
        superato * quota
        spazio * esaurito
        mailbox vol_
        postvak * vol_
        postbus * vol_
        mailbox * zit vol
        mailbox * is vol_
        quotum overschreden
        quota overschreden
        ящик переполнен
        переполнен ящик
        ящик * переполнен
        ящик заполнен
        переполнение ящика
        превышена квота
        превышен * квот
        квота превышена
        недостаточно места
        скринька переповнена
        skrzynka * przepeln
        skrzynka * pelna
        skrzynka jest pelna
        przekroczon * limit
        przekroczon * quot
        brak miejsca
        mailbox * prepelnena
        schranka * plna
        postafiok * megtelt
        posta kutusu dolu
        posta kutusu * dolu
        kota asil
        kotasini as
        kotasi dol
        メールボックスがいっぱい
        メールボックスが一杯
        メールボックスの容量
        容量を超え
        容量オーバー
        ボックスが満杯
        メールボックスが満杯
        邮箱已满
        邮箱空间不足
        邮箱空间已满
        邮箱容量
        空间不足
        容量不足
        信箱已满
        信箱空间
        超出 * 配额
        信箱已滿
        信箱空間
        信箱容量
        超過 * 配額
        편지함 * 용량
        메일함 * 용량
        용량 초과
        용량이 초과
        용량이 부족
        사서함이 꽉
        사서함이 가득
    """)),
    (_R.SIZE, phrases("""
        message too large
        message too big
        message is too large
        message is too big
        message was too large
        message file too big
        mail too large
        mail size limit
        mail size exceed
        too large for this
        message size exceeds
        message size limit
        message size too large
        message exceeds * size
        message exceeded * size
        message exceeds * limit
        message length exceeds
        message larger than
        message is larger than
        is larger than the current system limit
        exceeds maximum message size
        exceeds the maximum message size
        exceeds fixed maximum message size
        exceeds size limit
        exceeds the size limit
        exceeds maximum size
        exceeds the maximum size
        exceeds the maximum allowed
        exceeds the limit of
        exceeded maximum inbound message size
        maximum message size
        maximum email size
        max message size exceeded
        size limit exceeded
        size exceeds
        line limit exceeded
        resolver.rst.sendersizelimit
        resolver.rst.recipsizelimit
        recipsizelimit
        sendersizelimit
        #552 5.3.4
        552 5.3.4
        552 5.2.3
        taille limite du message
        message trop volumineux
        message * trop gros
        trop volumineux
        nachricht * zu gross
        nachricht * zu groß
        mail zu gross
        mensaje demasiado grande
        demasiado grande
        mensagem * muito grande
        muito grande
        messaggio troppo grande
        bericht is te groot
        bericht te groot
        слишком больш
        wiadomosc * za duza
        zbyt duza
        サイズが大き
        サイズ制限
        邮件过大
        邮件太大
        邮件大小超
        郵件過大
        크기를 초과
    """)),
    (_R.SUSPENDED, phrases("""
        account that you tried to reach is disabled
        account is disabled
        account disabled
        account @ is disabled
        account * is disabled
        account * disabled
        account has been disabled
        account has been * suspended
        account * suspended
        account is suspended
        account suspended
        account is locked
        account locked
        account * is locked
        account is inactive
        account inactive
        account * is inactive
        account * not active
        account is not active
        account deactivated
        account has been deactivated
        account * deactivated
        account closed temporar
        account expired
        account has expired
        account * expired
        account is blocked
        account blocked
        account is frozen
        account frozen
        account unavailable
        account temporarily unavailable
        account is currently unavailable
        account is on hold
        mailbox disabled
        mailbox is disabled
        mailbox * disabled
        mailbox has been disabled
        mailbox has been suspended
        mailbox is suspended
        mailbox currently suspended
        mailbox * suspended
        mailbox is frozen
        mailbox is inactive
        mailbox inactive
        mailbox * inactive
        mailbox deactivated
        mailbox * deactivated
        deactivated mailbox
        mailbox is locked
        mailbox locked
        mailbox * locked
        mailbox is blocked
        mailbox has been blocked
        mailbox is temporarily
        mailbox temporarily
        mailbox currently unavailable
        mailbox was not used
        user * suspended
        user suspended
        user is suspended
        user disabled
        user is disabled
        user * disabled
        user * inactive
        user inactive
        user is inactive
        user not active
        user is not active
        user is locked
        user locked
        user * is locked
        user account is not activated
        invalid/inactive user
        inactive user
        inactive account
        inactive mailbox
        extended inactivity
        recipient suspend
        recipient is suspended
        recipient disabled
        recipient * disabled
        recipient is disabled
        recipient * inactive
        recipient is inactive
        recipient * suspended
        recipient rejected: temporarily inactive
        recipient temporarily unavailable
        recipient temporarily unable
        temporarily inactive
        temporarily disabled
        temporarily suspended
        temporary locked
        temporarily locked
        is currently suspended
        currently suspended
        has been suspended
        is suspended
        has been disabled
        address disabled
        address is disabled
        address * is disabled
        address is deactivated
        address inactive
        address is inactive
        disabled or discontinued
        email address is inactive
        e-mail account is inactive
        is a deactivated mailbox
        service * suspended
        domain * suspended
        domain is suspended
        domain disabled
        domain has been disabled
        not accept mail * inactiv
        #5.2.1
        vdelivermail: account is locked
        boite du destinataire archivee
        boite du destinataire desactivee
        boite * desactivee
        boite * inactive
        boite * suspendue
        compte * desactive
        compte * suspendu
        compte * bloque
        konto * gesperrt
        konto * deaktiviert
        postfach * gesperrt
        postfach * deaktiviert
        postfach * inaktiv
        mailbox * gesperrt
        cuenta * suspendida
        cuenta * deshabilitada
        cuenta * desactivada
        cuenta * bloqueada
        cuenta * inactiva
        buzon * deshabilitado
        conta * desativada
        conta * suspensa
        conta * bloqueada
        conta * inativa
        caixa * desativada
        casella * disabilitata
        casella * disattiva
        casella * sospesa
        casella * bloccata
        account * gedeactiveerd
        account * geblokkeerd
        ящик * заблокирован
        ящик * отключен
        ящик * не использовался
        пользователь * заблокирован
        учетная запись * заблокирована
        konto * zablokowane
        konto * nieaktywne
        konto * zawieszone
        skrzynka * zablokowana
        skrzynka * nieaktywna
        hesap * devre disi
        hesap * kapatil
        hesap * askiya
        用户被锁定
        用户已被锁定
        账号被锁定
        帐号被冻结
        账户被禁用
        用户被冻结
        邮箱被锁定
        邮箱已被禁用
        停用
        휴면
        정지된
        利用停止
        停止されて
        休止
    """)),
    (_R.HOST_UNKNOWN, phrases("""
        host unknown
        unknown host
        unknown domain
        unknown mail domain
        unknown mailhost
        unknown mail host
        domain unknown
        domain name not found
        domain not found
        domain * not found
        domain couldnt be found
        domain * couldnt be found
        domain * could not be found
        domain * cannot be found
        domain could not be found
        domain does not exist
        domain * does not exist
        domain doesnt exist
        domain does not have
        domain has no mx
        domain must exist
        domain must resolve
        domain is not reachable
        domain invalid
        domain is invalid
        domain lookup failed
        domain not exist
        domain non exist
        domain name is invalid
        dns domain * does not exist
        domain mentioned in email address is unknown
        invalid domain
        bad domain
        bad destination system
        bad destination host
        illegal host/domain
        illegal host
        invalid host
        invalid domain name
        host not found
        host or domain name not found
        host name not found
        hostname not found
        host name is unknown
        host not known
        host does not exist
        host doesnt exist
        no such host
        no such domain
        no mail server
        no mail exchanger
        no mail hosts for domain
        no mx or a record
        no mx or a for
        no mx record
        no mx for
        no valid mx
        no a record
        no dns records
        no address associated with hostname
        no host found
        no hosts found
        no route to domain
        no route found to domain
        no known mail
        cant find any host named
        couldnt find any host
        couldnt find any host named
        could not find any host
        cannot find mail server
        cannot find a mail
        cannot resolve
        cant resolve
        could not resolve
        couldnt resolve
        unable to resolve
        unable to look up
        unresolvable
        unrouteable address
        unroutable address
        unrouteable domain
        unrouteable mail domain
        unroutable mail domain
        unrouteable
        unroutable
        not resolve
        name service error
        name or service not known
        nxdomain
        nonexistentdomain
        find the recipient domain
        find a mail exchanger
        non-existent host
        nonexistent host
        non-existent domain
        nonexistent domain
        point to non-existent hosts
        host lookup did not complete
        all host address lookups failed
        lookup failed permanently
        name server: host not found
        dns error: domain name not found
        dns error: dns server returned answer with no data
        dns server returned answer with no data
        dns records for the destination computer could not be found
        the account or domain may not exist
        infodomainnonexistent
        domain name system
        domane unbekannt
        domane existiert nicht
        domain existiert nicht
        domain unbekannt
        unbekannte domain
        unbekannte domane
        unbekannter host
        domaine inconnu
        domaine nexiste pas
        domaine introuvable
        hote inconnu
        dominio desconocido
        dominio no existe
        dominio * no existe
        dominio no encontrado
        dominio inexistente
        dominio nao existe
        dominio desconhecido
        dominio * nao foi encontrado
        dominio sconosciuto
        domein bestaat niet
        домен не существует
        домен не найден
        неизвестный домен
        domena nie istnieje
        nieznana domena
        alan adi bulunamadi
        ドメインが見つかり
        ドメインが存在
        域名不存在
        域名无法
        找不到域名
        도메인을 찾을 수
        도메인이 존재
    """)),
    (_R.RELAYING, phrases("""
        relay access denied
        relay denied
        relay not permitted
        relay not allowed
        relay is not allowed
        relay not authenticated
        relaying denied
        relaying not
        relaying is not
        relaying prohibited
        relaying to @ prohibited
        relaying mail to
        relaying blocked
        relay prohibited
        relay attempt
        relay operation
        unable to relay
        not permitted to relay
        not allowed to relay
        not authorised to relay
        not authorized to relay
        cannot relay
        cant relay
        do not relay
        dont relay
        does not relay
        mail relay denied
        we do not relay
        refuse to relay
        as a relay
        not an open relay
        not configured to relay
        open relay
        insecure mail relay
        isnt in my list of allowed rcpthosts
        in my list of allowed rcpthosts
        rcpthosts
        not a gateway
        not local host
        not a local domain
        we dont handle mail for
        does not handle mail for
        sender is not local
        authentication required for relay
        #5.7.1 relaying
        домен не обслуживается
    """)),

    (_R.USER_UNKNOWN, phrases("""
        user unknown
        user unkown
        user not unknown
        user is unknown
        user @ unknown
        users unknown
        unknown user
        unknown or illegal user
        unknown or illegal alias
        unknown or invalid
        unknown address
        unknown email address
        unknown e-mail address
        unknown mail address
        unknown mailbox
        unknown recipient
        unknown local part
        unknown local-part
        unknown local user
        unknown local
        unknown virtual
        unknown account
        unknown name
        unknown alias
        unknown destination
        unknown in virtual
        unknown in local
        unknown in relay
        unknown id
        recipient unknown
        recipient is unknown
        recipient * unknown
        recipients unknown
        address unknown
        address is unknown
        address @ unknown
        address * is unknown
        addressee unknown
        mailbox unknown
        mailbox * unknown
        account unknown
        username unknown
        local part unknown
        destination addresses were unknown
        no such user
        no such account
        no such address
        no such alias
        no such customer
        no such id_
        no such local user
        no such mail box
        no such mail drop
        no such mailbox
        no such name
        no such number
        no such person
        no such recipient
        no such subscriber
        no such username
        no such virtual
        no such email
        no such e-mail
        no mailbox
        no mail box
        no recipient
        no account
        no user by that name
        no user
        no users here
        no one by that name
        no one at this address
        no valid recipient
        no valid mailbox
        no longer valid
        no longer active
        no longer exist
        no longer with
        no longer works
        no longer here
        no longer on this server
        no longer an active
        no longer has a mailbox
        no longer a valid
        no local mailbox
        no local user
        no matches to nameserver query
        no match for recipient
        no active mailbox
        no in name directory
        not a known user
        not a known mailbox
        not a known recipient
        not a local address
        not a local mailbox
        not a local user
        not a registered user
        not a user
        not a valid address
        not a valid destination
        not a valid email
        not a valid mailbox
        not a valid recipient
        not a valid user
        not an active
        not a current
        not a mailbox
        not a customer
        not a subscriber
        not our customer
        not valid recipient
        not valid user
        not known at
        not known here
        not known
        not found on this server
        not found recipient account
        not found in domino
        not found in directory
        not found in * directory
        not found for the recipient
        not in the user list
        not in directory
        not in local
        not in my * list
        not in my validrcptto
        not on this server
        not listed in domino directory
        not listed in public name
        not listed in * directory
        not listed in
        not present in directory
        not recognized
        not recognised
        not registered
        not exist
        not existing
        non existent
        non-existent
        nonexistent
        nonexistant
        non-existing
        does not exist
        does not have an account
        does not have a account
        does not have a mailbox
        does not have an email account
        does not have a yahoo
        did not exist
        do not exist
        doesnt exist
        doesnt have an account
        doesnt have a account
        doesnt have a * account
        doesnt have an * account
        dont have an account
        dd this user
        dont exist
        didnt match any user
        couldnt be found
        could not be found
        couldnt find
        could not find user
        could not find the recipient
        could not be resolved to a * mailbox
        cannot find user
        cant find user
        cannot find your recipient
        cannot find a mailbox
        cannot be found
        was not found
        wasnt found
        user not found
        user not exist
        user * not found
        user not known
        user not registered
        user missing home
        user invalid
        user is invalid
        user name is not
        user name not
        users email name is not found
        username does not
        recipient not found
        recipientnotfound
        recipient notfound
        recipient not exist
        recipient not ok
        user @ not ok
        badrecipient
        bad recipient
        recipient no longer
        recipient not recognized
        recipient * not found
        recipient is not local
        recipient name is not
        recipient invalid
        recipient is invalid
        recipient address is invalid
        recipient address invalid
        recipient address rejected: access denied
        recipient addresses rejected : access denied
        recipient address rejected: undeliverable
        recipient address rejected: invalid
        recipient address rejected: mailbox
        recipient address rejected: no such
        recipient address rejected: unknown
        recipient address rejected: user
        recipient address rejected: recipient
        recipient address rejected: address
        recipient address rejected: nonexist
        recipient address rejected: unverified
        recipient verification failed
        recipient verify failed
        recipient has been denied
        recipient @ rejected
        recipient rejected
        invalid user
        invalid recipient
        invalid mailbox
        invalid address
        invalid email
        invalid e-mail
        invalid account
        invalid local
        invalid final delivery userid
        invalid or unknown virtual user
        invalid or unknown
        invalid username
        invalid receiver
        invalid rcpt
        is not a valid
        isnt a valid
        illegal user
        illegal alias
        illegal recipient
        illegal mailbox
        bad address
        bad destination mailbox
        bad destination email address
        bad mailbox
        bad recipient
        bad-recipient
        bad user
        badrcptto
        badrecipientto
        badmailfrom-user
        mailbox does not
        mailbox not found
        mailbox @ not found
        mailbox * not found
        mailbox not available
        mailbox is not available
        mailbox unavailable
        mailbox is unavailable
        mailbox invalid
        mailbox is invalid
        mailbox name not allowed
        mailbox not present
        mailbox no longer
        mailbox deleted
        mailbox has been deleted
        mailbox * deleted
        account not found
        account * not found
        account does not
        account doesnt
        account that you tried to reach does not
        account not available
        account invalid
        account is invalid
        account deleted
        account has been deleted
        account has been closed
        account * closed
        account closed
        account is closed
        account has been terminated
        account terminated
        account removed
        address not found
        address * not found
        address wasnt found
        address couldnt be found
        address does not
        address is invalid
        address invalid
        address * invalid
        address is wrong
        address no longer
        address is incorrect
        address not present
        address not available
        address not valid
        address unavailable
        address deleted
        address has been deleted
        address is not valid
        archived recipient
        user has been deleted
        user deleted
        user * deleted
        user no longer
        no longer an employee
        no one with that
        no exist_
        not a member of domain
        recipient cannot be verified
        recipients cannot be verified
        recipient not allowed
        recipients are invalid
        incorrectly addressed
        inexistent user
        userid unknown
        mail for that user
        adressat unbekannt
        destinatario errato
        mailbox * no longer available
        address * no longer available
        user * no longer available
        user doesnt
        user does not
        user * doesnt exist
        user * does not
        names were not found
        name not found
        address rejected
        adresse d au moins un destinataire invalide
        invalid gateway user
        cant accept user
        can not find
        delivery to this address is not
        unroutable user
        unable to find
        unable to validate recipient
        resolver.adr.recipnotfound
        resolver.adr.exrecipnotfound
        resolver.adr.recipientnotfound
        single label domains not accepted
        smtp;550 5.1.10
        sorry, no mailbox here
        said: 550 5.1.1
        this user doesnt
        spectator does not
        requested action not taken: mailbox unavailable
        destination server rejected recipients
        rejected our message * recipient
        following recipients was undeliverable
        isnt in my list of allowed recipients
        that domain or user isnt in
        envelope recipient is in my
        envelope recipient has been denied
        empfanger unbekannt
        empfanger ist unbekannt
        empfanger * nicht bekannt
        empfanger * nicht gefunden
        empfanger * existiert nicht
        empfanger * nicht vorhanden
        benutzer unbekannt
        benutzer * unbekannt
        benutzer nicht gefunden
        benutzer * nicht gefunden
        benutzer existiert nicht
        adresse unbekannt
        adresse * unbekannt
        adresse * nicht gefunden
        adresse * existiert nicht
        adresse existiert
        adresse * ungultig
        existiert nicht
        existiert hier nicht
        konnte nicht gefunden werden
        nicht gefunden
        kein solcher
        unbekannter empfanger
        unbekannter benutzer
        kein postfach
        postfach existiert
        ist hier nicht bekannt
        ist nicht bekannt
        utilisateur inconnu
        utilisateur * inconnu
        destinataire inconnu
        destinataire * inconnu
        destinataire invalide
        destinataire introuvable
        destinataire * introuvable
        adresse inconnue
        adresse * inconnue
        adresse * introuvable
        adresse * invalide
        adresse * incorrecte
        est introuvable
        nexiste pas
        nexiste plus
        boite inconnue
        compte inexistant
        aucun utilisateur
        repertorie dans lannuaire
        inexistant
        usuario desconocido
        usuario * desconocido
        usuario no existe
        usuario inexistente
        usuario no encontrado
        usuario invalido
        destinatario desconocido
        destinatario no existe
        destinatario * no existe
        destinatario inexistente
        direccion desconocida
        direccion * no existe
        direccion no encontrada
        direccion * no se encontro
        no se encontro
        no se pudo encontrar
        no se ha podido encontrar
        no se ha encontrado
        no existe
        ya no existe
        cuenta inexistente
        cuenta no existe
        buzon no existe
        buzon inexistente
        usuario desconhecido
        destinatario desconhecido
        endereco desconhecido
        endereco nao encontrado
        endereco * nao encontrado
        endereco * nao foi encontrado
        endereco invalido
        endereco * inexistente
        usuario nao encontrado
        usuario nao existe
        nao existe
        nao foi encontrado
        nao foi possivel encontrar
        nao pode ser encontrado
        caixa postal inexistente
        conta inexistente
        utente sconosciuto
        utente non trovato
        utente inesistente
        destinatario sconosciuto
        destinatario inesistente
        destinatario non trovato
        indirizzo sconosciuto
        indirizzo inesistente
        indirizzo * non trovato
        indirizzo * non e stato trovato
        indirizzo * non valido
        casella inesistente
        casella * inesistente
        non esiste
        non e stato possibile trovare
        impossibile trovare
        nessun utente
        gebruiker onbekend
        onbekende gebruiker
        gebruiker bestaat niet
        gebruiker * bestaat niet
        ontvanger onbekend
        onbekende ontvanger
        adres onbekend
        onbekend adres
        adres bestaat niet
        adres * bestaat niet
        adres * niet gevonden
        adres * kan niet worden gevonden
        bestaat niet
        niet gevonden
        kan niet worden gevonden
        пользователь не найден
        пользователь * не найден
        пользователя не существует
        пользователь не существует
        нет такого пользователя
        неизвестный пользователь
        неизвестный получатель
        получатель не найден
        получатель * не найден
        адрес не найден
        адрес * не найден
        адрес * не существует
        адрес не существует
        ящик не существует
        ящик * не существует
        ящик не найден
        не существует
        не найден
        нет такого
        не зарегистрирован
        недействительный адрес
        користувач не знайден
        nieznany uzytkownik
        nieznany odbiorca
        nieznany adres
        uzytkownik nieznany
        uzytkownik nie istnieje
        uzytkownik * nie istnieje
        adres * nie istnieje
        adresat nieznany
        konto nie istnieje
        konto * nie istnieje
        skrzynka nie istnieje
        nie ma takiego
        nie ma konta
        nie ma uzytkownika
        nie istnieje
        nie znaleziono
        nie zostal znaleziony
        brak takiego
        brak uzytkownika
        nie odnaleziono
        neexistuje
        neznamy uzivatel
        uzivatel nenalezen
        nem letezik
        ismeretlen
        ukjent
        okand mottagare
        finns inte
        hittades inte
        findes ikke
        finnes ikke
        ei loydy
        kullanici bulunamadi
        kullanici yok
        kullanici * bulunamadi
        boyle bir kullanici
        boyle bir adres
        bilinmeyen kullanici
        alici bulunamadi
        adres bulunamadi
        adresi bulunamadi
        bulunamadi
        mevcut degil
        宛先不明
        宛先が見つかり
        宛先不存在
        あて先
        アドレスが見つかり
        アドレスは存在
        アドレスが存在
        ユーザが存在
        ユーザーが存在
        ユーザが見つかり
        ユーザーが見つかり
        ユーザ不明
        見つかりませんでした
        見つかりません
        存在しません
        リストにありません
        存在しない
        ディレクトリには見つかりません
        用户不存在
        用户未找到
        用户名不存在
        收件人不存在
        收件人未找到
        收件人地址不存在
        地址不存在
        帐户不存在
        账户不存在
        账号不存在
        帐号不存在
        邮箱不存在
        邮箱未找到
        信箱不存在
        不存在
        找不到
        无此用户
        没有此用户
        无效用户
        未知用户
        查无此
        使用者不存在
        查無此
        無此
        无此
        존재하지 않
        사용자를 찾을 수
        수신자를 찾을 수
        찾을 수 없
        받는 사람을 찾
        없는 사용자
        없는 메일
        알 수 없는 사용자
        nepoznat korisnik
        khong ton tai
        khong tim thay
        ไม่พบ
        לא נמצא
        لا يوجد
    """)),
)  # fmt: skip
