"""The sign-up form: what was sent, and what is wrong with it. Pure: knows no address that signed up before.

Nothing that it says depends on more than the form itself and the newsletters on offer.
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
"""A person needs longer than the one for the form, and does not leave it open for longer than the other."""


@dataclass(frozen=True)
class SignupForm:
    """What was sent. Our own pages send a trap that people leave empty, and a signed form time."""

    email: str = ""
    newsletters: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    name: str = ""
    next: str = ""
    trap: str = ""
    stamp: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Sequence[str]]) -> "SignupForm":
        """The form in these fields."""

        def first(name: str) -> str:
            return next(iter(fields.get(name, ())), "")

        return cls(
            email=first("email"),
            newsletters=tuple(fields.get("newsletter", ())),
            schedules=tuple(value for value in fields.get("schedule", ()) if value),
            name=first("name"),
            next=first("next"),
            trap=first("website"),
            stamp=first("stamp"),
        )

    @classmethod
    def of_json(cls, data: object) -> "SignupForm":
        """The form in a JSON object; lists stand for repeated fields. What is no text is left out."""
        if not isinstance(data, dict):
            return cls()
        lists = {
            str(name): value if isinstance(value, list) else [value] for name, value in data.items()
        }
        return cls.of(
            {name: [one for one in ones if isinstance(one, str)] for name, ones in lists.items()}
        )


@dataclass(frozen=True)
class Errors:
    """What to say beside the fields; `form` is about no field."""

    email: str = ""
    newsletter: str = ""
    schedule: str = ""
    form: str = ""

    def __bool__(self) -> bool:
        return bool(self.first)

    @property
    def first(self) -> str:
        """The one that matters most."""
        return self.form or self.email or self.newsletter or self.schedule


def read_wish(
    form: SignupForm, offers: Sequence[Offer], translate: Callable[..., str]
) -> SignupRequest | Errors:
    """What the form asks for, or what is wrong with it."""
    _ = translate
    try:
        address: Address | None = parse(form.email)
    except BadAddress:
        address = None
        email = (
            _("That doesn’t look like an email address. Check for typos.")
            if form.email.strip()
            else _("Enter your email address.")
        )
    chosen = _chosen(form, offers)
    newsletter = schedule = ""
    choices: list[ScheduleChoice] = []
    if not chosen:
        newsletter = _("Choose at least one newsletter.")
    for one in chosen:
        if one is None:
            newsletter = _("There is no such newsletter.")
        elif not one.is_open:
            newsletter = _(
                "%(title)s isn’t accepting new subscribers at the moment.", title=one.look.title
            )
        else:
            wanted = _wanted(form, one, alone=len(chosen) == 1)
            option = None if wanted is None else one.option(wanted)
            if wanted is not None and option is None:
                schedule = _(
                    "%(title)s isn’t available on that schedule. Choose another one.",
                    title=one.look.title,
                )
            choices.append(ScheduleChoice(one, option))
    if address is None or newsletter or schedule:
        return Errors(email="" if address else email, newsletter=newsletter, schedule=schedule)
    return SignupRequest(address, choices, reader_name(form.name))


def form_time(shown_at: datetime | None, now: datetime) -> str:
    """What the time since a form was shown says: "quick", "old" or nothing. None was not made here."""
    if shown_at is None or now - shown_at > LONGEST:
        return "old"
    return "quick" if now - shown_at < QUICKEST else ""


def _chosen(form: SignupForm, offers: Sequence[Offer]) -> list[Offer | None]:
    """The newsletters asked for, each once; None for one that does not exist."""
    if not form.newsletters:
        on_offer = [one for one in offers if one.is_open]
        return list(on_offer) if len(on_offer) == 1 else []
    by_slug = {one.look.slug: one for one in offers}
    return [by_slug.get(slug) for slug in dict.fromkeys(form.newsletters)]


def _wanted(form: SignupForm, offer: Offer, *, alone: bool) -> str | None:
    """The schedule asked for of this newsletter. Those of newsletters not chosen do not count."""
    prefix = f"{offer.look.slug}/"
    for schedule in form.schedules:
        if schedule.startswith(prefix):
            return schedule.removeprefix(prefix)
    return form.schedules[0] if alone and form.schedules else None
