"""Reads the sign-up form, and says what is wrong with it.

Pure: the answer depends on nothing but the form and the newsletters on offer, never on an address that
signed up before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailer.address import Address, parse
from mailer.errors import BadAddress
from mailer.newsletters.offer import Offer
from mailer.subscribers.signup import ScheduleChoice, SignupRequest
from mailer.text.reader_name import reader_name

QUICKEST: Final = timedelta(seconds=2)
LONGEST: Final = timedelta(hours=24)
"""A person takes at least the one for the form, and leaves it open for at most the other."""


@dataclass(frozen=True)
class SignupForm:
    """What was sent. Our own pages send a honeypot that people leave empty, and a signed form time."""

    email: str = ""
    newsletters: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    name: str = ""
    next: str = ""
    honeypot: str = ""
    stamp: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Sequence[str]]) -> "SignupForm":
        """Read the form from these fields."""

        def first(name: str) -> str:
            return next(iter(fields.get(name, ())), "")

        return cls(
            email=first("email"),
            newsletters=tuple(fields.get("newsletter", ())),
            schedules=tuple(value for value in fields.get("schedule", ()) if value),
            name=first("name"),
            next=first("next"),
            honeypot=first("website"),
            stamp=first("stamp"),
        )

    @classmethod
    def of_json(cls, data: object) -> "SignupForm":
        """Read the form from a JSON object; a list is a repeated field. What is not text is left out."""
        if not isinstance(data, dict):
            return cls()
        fields = {}
        for name, value in data.items():
            values = value if isinstance(value, list) else [value]
            fields[str(name)] = [value for value in values if isinstance(value, str)]
        return cls.of(fields)


@dataclass(frozen=True)
class FormErrors:
    """The messages beside the fields; `form` is about the form as a whole."""

    email: str = ""
    newsletter: str = ""
    schedule: str = ""
    form: str = ""

    def __bool__(self) -> bool:
        return bool(self.first)

    @property
    def first(self) -> str:
        """The most important message."""
        return self.form or self.email or self.newsletter or self.schedule


def read_request(
    form: SignupForm, offers: Sequence[Offer], translate: Callable[..., str]
) -> SignupRequest | FormErrors:
    """Return what the form asks for, or what is wrong with it."""
    _ = translate
    address: Address | None = None
    email = newsletter = schedule = ""
    try:
        address = parse(form.email)
    except BadAddress:
        email = _("Enter your email address.")
        if form.email.strip():
            email = _("That doesn’t look like an email address. Check for typos.")
    chosen = _chosen(form, offers)
    choices: list[ScheduleChoice] = []
    if not chosen:
        newsletter = _("Choose at least one newsletter.")
    for offer in chosen:
        if offer is None:
            newsletter = _("There is no such newsletter.")
            continue
        title = offer.look.title
        wanted = _wanted(form, offer, alone=len(chosen) == 1)
        option = None if wanted is None else offer.option(wanted)
        if not offer.is_open:
            newsletter = _("%(title)s isn’t accepting new subscribers at the moment.", title=title)
        elif wanted is not None and option is None:
            schedule = _(
                "%(title)s isn’t available on that schedule. Choose another one.", title=title
            )
        choices.append(ScheduleChoice(offer, option))
    if address is None or newsletter or schedule:
        return FormErrors(email, newsletter, schedule)
    return SignupRequest(address, choices, reader_name(form.name))


def check_form_time(
    shown_at: datetime | None, now: datetime, translate: Callable[..., str]
) -> FormErrors | None:
    """Return what is wrong if a form came back sooner or later than a person sends it.

    Args:
        shown_at: when it was shown, as its stamp says; None if the stamp was not made here.
    """
    _ = translate
    if shown_at is None or now - shown_at > LONGEST:
        return FormErrors(form=_("This page was open for a long time. Press the button again."))
    if now - shown_at < QUICKEST:
        return FormErrors(form=_("That was very quick. Press the button again."))
    return None


def _chosen(form: SignupForm, offers: Sequence[Offer]) -> list[Offer | None]:
    """Return the newsletters asked for, each once; None for one that does not exist."""
    if not form.newsletters:
        open_offers: list[Offer | None] = [offer for offer in offers if offer.is_open]
        return open_offers if len(open_offers) == 1 else []
    by_slug = {offer.look.slug: offer for offer in offers}
    return [by_slug.get(slug) for slug in dict.fromkeys(form.newsletters)]


def _wanted(form: SignupForm, offer: Offer, *, alone: bool) -> str | None:
    """Return the schedule asked for of this newsletter; those of other newsletters do not count."""
    prefix = f"{offer.look.slug}/"
    for schedule in form.schedules:
        if schedule.startswith(prefix):
            return schedule
    return form.schedules[0] if alone and form.schedules else None
