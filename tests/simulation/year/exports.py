"""Writes the lists that a newspaper moves in with: the three exports of Mailchimp, and one of Ghost.

Headed as the services head them; who is in them is invented.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "June", "Kit", "Léa")
LAST = ("Abel", "Brandt", "Cole", "Duarte", "Eklund", "Farkas", "Gallo", "Hoxha", "Ito", "Jansen")
EARLIEST = datetime(2019, 3, 1, 8, 0, tzinfo=UTC)
_COMMON = (
    *("Email Address", "First Name", "Last Name", "MEMBER_RATING", "OPTIN_TIME", "OPTIN_IP"),
    *("CONFIRM_TIME", "CONFIRM_IP", "LATITUDE", "LONGITUDE", "GMTOFF", "DSTOFF", "TIMEZONE", "CC"),
    *("REGION", "LAST_CHANGED", "LEID", "EUID", "NOTES", "TAGS"),
)
_UNSUB = ("UNSUB_TIME", "UNSUB_CAMPAIGN_TITLE", "UNSUB_CAMPAIGN_ID", "UNSUB_REASON")
_CLEAN = ("CLEAN_TIME", "CLEAN_CAMPAIGN_TITLE", "CLEAN_CAMPAIGN_ID")
_GHOST = (
    *("id", "email", "name", "note", "subscribed_to_emails", "complimentary_plan"),
    *("stripe_customer_id", "created_at", "deleted_at", "labels", "tiers"),
)


@dataclass(frozen=True)
class OldReader:
    """Somebody on an old list. `state` is "subscribed", "unsubscribed" or "cleaned"."""

    address: str
    first: str
    last: str
    state: str
    opted_in: datetime

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()


@dataclass(frozen=True)
class OldLists:
    """The lists of the old system, and the files that they are exported to."""

    mailchimp: Sequence[OldReader]
    ghost: Sequence[OldReader]
    files: dict[str, Path]

    @property
    def everybody(self) -> list[OldReader]:
        return [*self.mailchimp, *self.ghost]


def draw(number: int, folder: Path, seed: int) -> OldLists:
    """Draw so many readers who subscribe, and some who do not any more, and write their lists."""
    rng = random.Random(f"lists {seed}")
    at_ghost = number // 5
    mailchimp = [
        *_people(rng, "m", "subscribed", number - at_ghost),
        *_people(rng, "u", "unsubscribed", max(number // 10, 2)),
        *_people(rng, "c", "cleaned", max(number // 20, 2)),
    ]
    ghost = [
        *_people(rng, "g", "subscribed", at_ghost),
        *_people(rng, "h", "unsubscribed", max(number // 25, 1)),
    ]
    files = {
        state: folder / f"{state}_members_export_4c1f.csv"
        for state in ("subscribed", "unsubscribed", "cleaned")
    }
    for state, path in files.items():
        _write_mailchimp(path, state, [one for one in mailchimp if one.state == state])
    files["ghost"] = folder / "ghost.2027-01-02.csv"
    _write_ghost(files["ghost"], ghost)
    return OldLists(mailchimp, ghost, files)


def in_letters(number: int) -> str:
    """A number as a word: nobody is greeted by a name with digits."""
    return "".join("bdfgklmnrs"[int(digit)] + "a" for digit in f"{number:03}").title()


def _people(rng: random.Random, letter: str, state: str, number: int) -> list[OldReader]:
    people = []
    for n in range(number):
        first, last = rng.choice(FIRST), f"{rng.choice(LAST)} {in_letters(n)}{letter}"
        # Some gave no name.
        named = n % 7 != 3
        people.append(
            OldReader(
                f"{letter}.reader{n:03}@host{rng.randrange(5)}.example",
                first if named else "",
                last if named else "",
                state,
                EARLIEST + timedelta(minutes=rng.randrange(60 * 24 * 2000)),
            )
        )
    return people


def _write_mailchimp(path: Path, state: str, people: Sequence[OldReader]) -> None:
    more = {"unsubscribed": _UNSUB, "cleaned": _CLEAN}.get(state, ())
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.DictWriter(out, [*_COMMON, *more], restval="")
        rows.writeheader()
        for one in people:
            at = f"{one.opted_in:%Y-%m-%d %H:%M:%S}"
            left = f"{one.opted_in + timedelta(days=90):%Y-%m-%d %H:%M:%S}"
            row = {
                "Email Address": one.address,
                "First Name": one.first,
                "Last Name": one.last,
                "MEMBER_RATING": "2",
                "OPTIN_TIME": at,
                "CONFIRM_TIME": at,
                "CONFIRM_IP": "203.0.113.7",
                "LAST_CHANGED": at,
                "LEID": "4711",
                "EUID": "a1b2c3d4e5",
            }
            if state == "unsubscribed":
                row |= {"UNSUB_TIME": left, "UNSUB_REASON": "NORMAL"}
            elif state == "cleaned":
                row |= {"CLEAN_TIME": left, "CLEAN_CAMPAIGN_TITLE": "Autumn letter"}
            rows.writerow(row)


def _write_ghost(path: Path, people: Sequence[OldReader]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.DictWriter(out, _GHOST, restval="")
        rows.writeheader()
        for n, one in enumerate(people):
            rows.writerow(
                {
                    "id": f"64b0{n:020x}",
                    "email": one.address,
                    "name": one.name,
                    "subscribed_to_emails": str(one.state == "subscribed").lower(),
                    "complimentary_plan": "false",
                    "created_at": one.opted_in.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                }
            )
