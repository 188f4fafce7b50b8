"""Says which checks an installation needs, by its settings and its newsletters. Never judges by itself."""

import ipaddress
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from mailer.app import App
from mailer.doctor import (
    clock_check,
    files,
    installation,
    returned_mail,
    signing,
    website,
)
from mailer.doctor.dns.answers import LookUp
from mailer.doctor.dns.dkim_key import PublishedKey, check_dkim_key
from mailer.doctor.dns.dmarc import check_alignment, check_dmarc, is_at_or_below
from mailer.doctor.dns.dmarc_record import DmarcWalk, dmarc_walk
from mailer.doctor.dns.mail_hosts import check_mx
from mailer.doctor.dns.reverse import check_ptr, public_addresses
from mailer.doctor.dns.spf import check_spf
from mailer.doctor.examine import Check
from mailer.doctor.finding import ASK_LATER, CheckFinding, ok, unchecked
from mailer.doctor.installation import NewsletterFacts
from mailer.doctor.probes import machine, relay_probe, website_probe
from mailer.doctor.relay import RelayFacts, judge_relay
from mailer.errors import MailboxUnavailable, SettingsError
from mailer.message.dkim import is_covered
from mailer.settings import config_path, local_links
from mailer.settings.parsers import is_loopback

_SECRETS: Final = "the keys and passwords"
_USES_NAMED: Final = 3
_MOST_ADDRESSES: Final = 4


class Examination:
    """What is to be checked in one installation.

    Args:
        look_up: asks DNS.
        newsletters: None if the database cannot be used.

    Attributes:
        clocks: how far this machine is ahead of each clock that a check could read.
    """

    def __init__(
        self, app: App, look_up: LookUp, newsletters: Sequence[NewsletterFacts] | None
    ) -> None:
        self._app = app
        self._settings = app.settings
        self._look_up = look_up
        self._newsletters = newsletters or ()
        self._has_database = newsletters is not None
        self.clocks: dict[str, timedelta] = {}

    def checks(self) -> list[Check]:
        """List all that can be done at the same time; `clock` comes after them."""
        return [
            Check("spf", "SPF", self._spf),
            Check("dkim", "DKIM", self._dkim),
            *[
                Check("dmarc", f"DMARC of {one}", partial(self._dmarc, one))
                for one in self._authors
            ],
            Check("mx", "MX", self._mx),
            Check("ptr", "reverse DNS", self._ptr),
            Check("relay", "relay", self._relay),
            Check("website", "website", self._website),
            Check("one-click", "one-click", self._one_click),
            Check("disk", "files", self.local),
            Check("bounces", "returned mail", self._returned_mail),
            Check("bounces", "mailbox", self._mailbox),
        ]

    def clock(self) -> CheckFinding:
        """Judge the clock by what the other checks have read."""
        return clock_check.judge_clock(self.clocks)

    def local(self) -> list[CheckFinding]:
        """Check what can be checked without asking anybody."""
        settings = self._settings
        domains = {*self._authors, website.host_of(settings.base_url)}
        names = [installation.judge_domain_name(domain) for domain in sorted(domains)]
        return [
            *self._files(),
            installation.judge_staff_address([one.typed for one in settings.staff_address]),
            *(installation.judge_newsletters(self._newsletters) if self._has_database else ()),
            *[finding for finding in names if finding is not None],
        ]

    @property
    def _authors(self) -> list[str]:
        """The domains in From."""
        return sorted({one.from_domain for one in self._newsletters})

    @property
    def _envelope_domains(self) -> list[str]:
        """The domains in MAIL FROM."""
        bounce = self._settings.bounce_address
        return self._authors if bounce is None else [bounce.domain]

    @property
    def _has_own_envelope(self) -> bool:
        """Whether mail is sent with our return address; providers that report put their own in its place."""
        return not self._settings.webhook_keys

    @cached_property
    def _own_address(self) -> str | None:
        """The public address of this machine, if the relay is here; None if it is elsewhere or unknown."""
        if not self._is_local_relay:
            return None
        address = relay_probe.own_address()
        return address if address is not None and ipaddress.ip_address(address).is_global else None

    @property
    def _is_local_relay(self) -> bool:
        return is_loopback(self._settings.smtp_url.host)

    def _walk(self, domain: str) -> DmarcWalk:
        return dmarc_walk(domain, self._look_up)

    def _spf(self) -> list[CheckFinding]:
        own = self._own_address
        found = [
            check_spf(domain, self._look_up, own, is_envelope=self._has_own_envelope)
            for domain in self._envelope_domains
        ]
        return [finding for findings in found for finding in findings]

    def _dkim(self) -> list[CheckFinding]:
        settings = self._settings
        findings = list(
            signing.judge_signing(
                settings.dkim_domain, self._newsletters, relay_signs=settings.relay_signs_dkim
            )
        )
        domain = settings.dkim_domain
        if domain is None:
            return findings
        try:
            keys = self._app.dkim_keys
        except SettingsError as error:
            return [*findings, signing.unusable_key(str(error))]
        for key in keys:
            published = PublishedKey(key.selector, domain, key.record)
            findings += check_dkim_key(published, self._look_up(published.name, "TXT"))
        return findings

    def _dmarc(self, author: str) -> list[CheckFinding]:
        settings, walk = self._settings, self._walk(author)
        envelope = author if settings.bounce_address is None else self._envelope_domains[0]
        is_ours = self._has_own_envelope or not settings.relay_signs_dkim
        signers = [] if settings.dkim_domain is None else [settings.dkim_domain]
        is_signed = any(
            is_covered(one.from_address, signer)
            for one in self._newsletters
            for signer in signers
            if one.from_domain == author
        )
        ours = {author, *signers, *([envelope] if is_ours else [])}
        publish_at = min((one for one in ours if is_at_or_below(author, one)), key=len)
        return [
            *check_dmarc(walk, self._look_up, publish_at),
            *check_alignment(
                walk,
                self._walk(envelope) if is_ours else None,
                tuple(self._walk(signer) for signer in signers) if is_signed else (),
                relay_signs=settings.relay_signs_dkim,
            ),
        ]

    def _mx(self) -> list[CheckFinding]:
        used_for: dict[str, list[str]] = {}
        for one in self._newsletters:
            used_for.setdefault(one.from_domain, []).append(f"From of {one.slug}")
            if one.reply_domain != one.from_domain:
                used_for.setdefault(one.reply_domain, []).append(f"Reply-To of {one.slug}")
        bounce = self._settings.bounce_address
        if bounce is not None:
            used_for.setdefault(bounce.domain, []).append("bounce_address")
        return [
            check_mx(domain, " and ".join(uses[:_USES_NAMED]), self._look_up)
            for domain, uses in used_for.items()
        ]

    def _ptr(self) -> list[CheckFinding]:
        host = self._settings.smtp_url.host
        if self._is_local_relay:
            own = self._own_address
            if own is not None:
                return [check_ptr(own, self._look_up, is_ours=True)]
            what = "the relay is on this machine, whose public address is not known here"
            advice = (
                "`host ADDRESS` must name the host that it sends from, and `host NAME` the address"
            )
            return [ok("ptr", host, what, advice)]
        addresses = public_addresses(host, self._look_up)
        asked = self._look_up(host, "A")
        if not addresses and asked.failed:
            return [unchecked("ptr", host, asked.error, ASK_LATER)]
        is_ours = any(
            self._walk(host).organisation == self._walk(one).organisation for one in self._authors
        )
        if not addresses:
            what = "the relay has no public address, so it is not known where mail leaves from"
            return [ok("ptr", host, what, "check the address that it sends from: `host ADDRESS`")]
        return [
            check_ptr(one, self._look_up, is_ours=is_ours) for one in addresses[:_MOST_ADDRESSES]
        ]

    def _relay(self) -> list[CheckFinding]:
        settings = self._settings
        answer = relay_probe.probe_relay(self._app.relay_config)
        now = self._app.times.wall()
        date = clock_check.date_in_greeting(answer.greeting)
        if date is not None:
            self.clocks["the relay"] = now - date
        url = settings.smtp_url
        facts = RelayFacts(
            url.host, url.port, url.tls, url.user is not None, is_local=self._is_local_relay
        )
        return judge_relay(facts, answer, now=now)

    def _website(self) -> list[CheckFinding]:
        url = self._settings.base_url
        seen = website_probe.ask_health(url, self._look_up)
        now = self._app.times.wall()
        date = clock_check.read_date(seen.date)
        if date is not None:
            self.clocks["the website"] = now - date
        return website.judge_website(url, seen, is_local=local_links.are_local(url), now=now)

    def _one_click(self) -> list[CheckFinding]:
        url = self._settings.base_url
        return [website.judge_one_click(url, website_probe.ask_one_click(url, self._look_up))]

    def _returned_mail(self) -> list[CheckFinding]:
        settings = self._settings
        bounce = settings.bounce_address
        return list(
            returned_mail.judge_returned_mail(
                None if bounce is None else bounce.typed,
                settings.bounce_separator,
                settings.webhook_keys,
                is_fetched=settings.bounce_fetch_url is not None,
                is_local_url=local_links.are_local(settings.base_url),
            )
        )

    def _mailbox(self) -> list[CheckFinding]:
        mailbox = self._app.mailbox_context
        if mailbox is None:
            return []
        try:
            with mailbox.open():
                error = None
        except MailboxUnavailable as failure:
            error = str(failure)
        return [returned_mail.judge_mailbox(mailbox.name, error)]

    def _files(self) -> Iterator[CheckFinding]:
        database = self._app.database
        if database.is_sqlite and database.url.database:
            path = Path(database.url.database).absolute()
            yield from files.judge_database_file(
                machine.look_at(path), machine.look_at(path.parent)
            )
        backups = self._settings.backup_folder
        seen = None if backups is None else machine.look_at(backups.absolute())
        yield files.judge_backup_folder(seen)
        config = config_path(os.environ)
        named = [] if config is None else [(config, _SECRETS)]
        for path, holds in [*named, *[(key, "the key") for key in self._settings.dkim_key]]:
            yield files.judge_key_file(machine.look_at(path.absolute()), holds)
