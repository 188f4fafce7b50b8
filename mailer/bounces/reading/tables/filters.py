# Long because it is one table.
"""Lists what servers say when the sender, the mail or the route is at fault, and not the mailbox.

In the form of `mailer.bounces.reading.tables.refusals`.
"""

from typing import Final

from mailer.bounces.reading.tables.phrases import Phrases, phrases
from mailer.bounces.reasons import Reason

_R = Reason

EXCEPTIONS: Final[tuple[tuple[Reason, Phrases], ...]] = (
    # A look-up that may succeed later says nothing about the host.
    (_R.SYSTEM, phrases("""
        host not found, try again
        host not found; try again
        try again * host not found
        resolver.adr.invalidinsmtp
        resolver.adr.ambiguous
        resolver.adr.badprimary
        name server timeout
        name server: host name lookup failure
        host name lookup failure
        hostname lookup failure
        dns lookup failure * try again
        no relevant answers
        dns lookup failed
        dns lookup timed
        dns timeout
        dns failure
        could not contact dns servers
        malformed or unexpected name server reply
        malformed name server reply
        name server loop
        transient dns
        temporary dns
        cname lookup failed temporarily
        lowest numbered mx record points to local host
    """)),
    # What is full is not the mailbox.
    (_R.CONGESTED, phrases("""
        message quota
        sending quota
        daily quota
        hourly quota
        sending limits
        receiving mail too quickly
        receiving mail at a rate
    """)),
    # Mails from others are accepted.
    (_R.BLOCKED, phrases("""
        not accept mail from
        not accept email from
        not accept e-mail from
        not accept messages from
        not accept email over
        not accept mail over
        not accepting mail from your
        not accepting connections
        no longer accept mail from
        no longer accepting mail from
        no longer accepts mail from
    """)),
)  # fmt: skip
"""What must be looked for before all that speaks of mailboxes."""

FIRST: Final[tuple[tuple[Reason, Phrases], ...]] = (
    (_R.SPAM, phrases("""
        _spam_
        _spam.
        _spam,
        _spam:
        _spam-
        _spam!
        as spam
        be spam
        is spam
        antispam
        anti-spam
        spamassassin
        spambouncer
        spamprofiler
        spamblock
        spam content
        spam detected
        spam filter
        spam message
        spam score
        spam-like
        spamming
        spam source
        spam url
        suspected spam
        unsolicited
        uribl
        surbl
        bulk email
        bulk mail
        bulk advertising
        blacklisted url
        junk mail
        junkmail
        content filter rejection
        content rejected
        content judged
        contains a url
        urls in * listed
        mail content denied
        message content rejected
        message filtered
        message scored
        message looks like
        rejected because of unacceptable content
        rejected due to content
        recurrent pattern detection
        rejecting banned content
        objectionable content
        high probability of
        probability of being
        reject, id=
        courriel * indesirable
        pourriel
        nicht erwunscht
        correo no deseado
        posta indesiderata
        спам
        垃圾邮件
        垃圾郵件
        스팸
        迷惑メール
    """)),
    (_R.VIRUS, phrases("""
        virus
        malware
        infected
        worm_
        phishing
        trojan
        ウイルス
        病毒
        вирус
    """)),
    (_R.CONGESTED, phrases("""
        too many connections
        too many concurrent
        too many sessions
        too many simultaneous
        rate limit
        ratelimit
    """)),
    (_R.PROTOCOL, phrases("""
        command not recognized
        command not recognised
        command unrecognized
        unrecognized command
        unrecognised command
    """)),
    (_R.POLICY, phrases("""
        permission to post
        投稿する権限
        berechtigung
        autorisation de publier
        permiso para publicar
        permissao para postar
        autorizzazione * pubblicare
        administrative prohibition
        greylist
        graylist
        grey-list
        gray-list
        blocked by the recipient
        rejected by recipient
        refused by recipient
        user rules
    """)),
    (_R.AUTHENTICATION, phrases("""
        _spf_
        _spf:
        _spf.
        (spf)
        spf check
        spf fail
        spf record
        spf validation
        spf_fail
        spf:
        sender policy framework
        openspf
        senderid
        sender id
        purported responsible
        dkim
        dmarc
        unauthenticated
        not authenticated
        authentication required
        authentication checks
        authentication fail
        authentication is required
        authentication information
        authentication-results
        authentication credentials
        authentication needed
        sender authentication
        verify that it came from a legitimate
        passed validation
        must authenticate
        must be authenticated
        need to authenticate
        requires authentication
        require authentication
        failed to authenticate
        tls required
        starttls
        must issue a starttls
        requires tls
        tls is required
        encryption needed
        encryption required
        dane validation
        tlsa
        dnssec
        certificate
        _arc_
        _batv
        batv
        not allowed to send mail from
        is not allowed to send
        mismatches client ip
        ses:sendrawemail
        email address is not verified
        codes dauthentification
    """)),
    (_R.BLOCKED, phrases("""
        blocked using
        blocked by
        blocked for
        blocked - see
        blocked, see
        blocked at
        blocked see
        blocked because
        is blocked
        has been blocked
        have been blocked
        was blocked
        been temporarily blocked
        550 blocked
        554 blocked
        ;blocked
        :blocked
        blocklist
        block list
        block-list
        blacklist
        black list
        black-list
        blocked sender
        banned
        dnsbl
        _rbl_
        _rbl:
        rbl restriction
        rbl reject
        spamhaus
        spamcop
        barracudacentral
        sorbs
        abuseat
        cloudmark
        senderbase
        senderscore
        backscatter
        njabl
        dsbl
        proofpoint * ip
        reputation
        is listed
        are listed
        _listed at
        listed by
        ip listed
        host listed
        address listed
        open proxy
        client host rejected
        client host * blocked
        client host @ blocked
        sending ip
        ip address * rejected
        ip address * blocked
        ip address * refused
        your ip
        from your host
        from your server
        from your network
        your network
        your mail server * rejected
        your server * not allowed
        your host * not allowed
        your mta
        s3140
        s3150
        s775
        s844
        not accepted from ip
        not accepting mail from your
        not accept mail from your
        does not accept mail from your
        not accepting mail from @
        will not accept mail from
        do not accept mail from
        connection refused by policy
        connections not accepted
        access from ip
        access denied. ip
        access denied, ip
        reverse dns
        rdns
        ptr record
        ptr resource
        _ptr_
        fix reverse
        resolve your
        find your hostname
        find your reverse
        your hostname
        unresolvable relay host
        forged hostname
        hostname verification
        host network not allowed
        not allowed to connect
        no ptr
        ip name lookup failed
        ip lookup failed
        helo command rejected
        helo rejected
        ehlo rejected
        bad helo
        invalid helo
        forged helo
        dynamic ip
        dialup
        dial-up
        dynamic address
        too many invalid recipients
        too many unknown
        too many bad commands
        invalid recipients * ip
        go away
        use the smtp server of your isp
        use your isp
        directly to our servers
        not authorized to send email directly
        your sender domain
        due to user complaints
        unexpected volume
        unusual rate
        unusual volume
        suspicious activity
        esmtp not accepting connections
        refused to talk to me: 5
        abus detecte
        listed abusive
    """)),
    (_R.POLICY, phrases("""
        sender address rejected
        sender rejected
        sender denied
        sender not
        sender verify failed
        sender verification
        sender domain
        sender email address
        sender is
        sender was
        sender @ rejected
        sender unknown
        sender address * not
        sender address * invalid
        sender address has been
        domain of sender
        return path
        mail from @ not
        mail from domain
        could not verify sender
        invalid sender
        unknown sender
        bogus mail from
        bogus sender
        envelope sender
        null sender
        empty envelope
        empty sender
        empty from
        bad sender
        not accept null
        no third-party dsns
        from: domain
        from: header
        from address
        originator * not
        the mail from
        emetteur
        expediteur
        absender
        remitente
        remetente
        mittente
        отправител
        nadawc
        gonderen
        送信者
        送信元
        发件人
        寄件者
        보내는
        not accepting mail from
        not accept mail from
        only accepting mail from
        only accepts mail from
        not accepting any mail
    """)),
)  # fmt: skip

LAST: Final[tuple[tuple[Reason, Phrases], ...]] = (
    (_R.POLICY, phrases("""
        not authorized to send
        not authorised to send
        not allowed to send to
        not permitted to send
        not permitted to post
        not allowed to post
        not subscribed
        not a member of the
        not a member of this
        not a member of our
        not a list member
        non-member
        members-only
        member * not allowed
        closed mailing list
        mailing list * closed
        restricted
        refused due to recipient preferences
        recipient preferences
        recipients preferences
        privacy settings
        user rules
        rejected by recipient
        blocked by the recipient
        rejected by the recipient
        refuse to receive
        refused to receive
        refused by recipient
        refuses to accept
        account is protected
        is protected by
        policy
        policies
        politica
        politique
        richtlinie
        polityk
        политик
        organizational settings
        administratively
        prohibited
        forbidden
        not authorized
        not authorised
        notauthorized
        unauthorized
        not permitted
        permission to
        resolver.rst.notauthorized
        resolver.rst.authrequired
        resolver.rst.restricted
        delivery not authorized
        delivery not allowed
        security reasons
        security violation
        attachment
        executable
        you have exceeded the allowable number
        captcha
        envelope blocked
        whitelist
        white list
        confirm this mail
        requires confirmation
        header are not accepted
        rejected for
        rejected by the
        delivery restriction
        message rejected
        message refused
        mail rejected
        rejected by rule
        rule imposed
        rules reject
        custom rule
        rejeitad
        受信拒否
        拒収
        拒收
        拒絕
        拒绝
    """)),
    (_R.LOOP, phrases("""
        loop
        too many hops
        hop count
        hops exceeded
        exceeded * hops
        exceeds * hops
        too many received
        maximum hop
        hopcount
        mail loops
        loops back to
        hop limit
        50 hops
        boucle
        schleife
        bucle
    """)),
    (_R.UNSUPPORTED, phrases("""
        smtputf8
        utf8smtp
        internationalized
        internationalised
        non-ascii address
        non-ascii characters in address
        utf-8 address
        utf8 address
        #5.6.7
        eai
    """)),
    (_R.CONGESTED, phrases("""
        too many connections
        too many concurrent
        too many sessions
        too many smtp sessions
        too many messages
        too many emails
        too many mails
        too many recipients
        too many errors
        too many simultaneous
        connection limit
        connection rate
        rate limit
        ratelimit
        rate-limit
        rate exceeded
        rate control
        rate * exceeded
        limit * exceeded
        exceeded * limit
        exceeds * limit
        exceeded the max
        limit exceeded
        hourly limit
        daily limit
        per hour
        throttl
        receiving mail too quickly
        receiving mail at a rate
        temporarily deferred
        deferred
        maximum number of
        trop de connexions
        trop de
        resources temporarily
        system resources
        insufficient system
        mail system full
        system full
        requested mail action aborted: exceeded
        server busy
        too busy
        is busy
        overloaded
        load too high
        message threshold
    """)),
    (_R.EXPIRED, phrases("""
        expired
        expiration
        timed out
        time out
        timeout
        retry time
        retry timeout
        retries
        queue too long
        in queue for
        been in the queue
        in the queue too long
        queue lifetime
        queue period
        allowed queue
        allowed time
        could not be delivered for
        couldnt be delivered for
        undeliverable for
        has been failing
        have been failing
        giving up
        gave up
        not collected after
        numerous attempts
        failed * attempts
        not been collected
        repeated attempts
        several attempts
        many attempts
        attempts to deliver
        did not respond
        didnt respond
        not responding
        no response
        no answer from host
        doesnt answer
        connection refused
        connection reset
        connection dropped
        connection was dropped
        connection failed
        connection closed
        connection lost
        connection was closed
        connect to @
        lost connection
        could not connect
        couldnt connect
        cannot connect
        cant connect
        unable to connect
        failed to connect
        did not accept our requests to connect
        establish an smtp connection
        could not be contacted
        could not contact
        not reachable
        unreachable
        not be reached
        no route to host
        network is
        network error
        host is down
        host down
        zeituberschreitung
        delai
        tiempo de espera
        tempo limite
        tempo esgotado
        истек
        przekroczono czas
        タイムアウト
        接続でき
        超时
        逾時
        시간 초과
    """)),
    (_R.CONTENT, phrases("""
        header error
        bad header
        mime header
        invalid header
        header size
        message header
        malformed
        improper use of 8-bit
        8-bit data
        8bit
        bare lf
        bare cr
        mime complexity
        invalid mime
        improperly-formatted
        conversion
        unnecessary base64
        message content
        duplicate header
        invalid characters
        content is not
        parse error
        line too long
    """)),
    (_R.PROTOCOL, phrases("""
        syntax error
        command not
        unrecognized command
        command unrecognized
        unrecognised command
        bad sequence
        not implemented
        command out of
        invalid command
        invalid argument
        invalid parameter
        protocol error
        protocol violation
        must issue
        need mail
        need rcpt
        data before
        unexpected response
        unsupported command
    """)),
    (_R.SYSTEM, phrases("""
        system error
        internal error
        internal server error
        local error
        server error
        configuration error
        misconfigured
        config error
        local configuration
        mailer error
        local problem
        temporary failure
        temporary error
        temporary problem
        temporarily unavailable
        temporarily unable
        try again later
        please try later
        service unavailable
        service not available
        service currently
        server unavailable
        out of memory
        disk full
        no space left
        i/o error
        input/output error
        exit status
        died with status
        command failed
        command died
        command output
        cant create
        cannot create
        cannot open
        cant open
        cannot append
        unable to write
        write error
        permission denied
        procmail
        maildrop
        pipe to
        transport error
        transaction failed
        delivery agent
        local delivery failed
        directory does not
        database
        ldap
        lock
        interrupted
        unexpected
        technical
    """)),
)  # fmt: skip
