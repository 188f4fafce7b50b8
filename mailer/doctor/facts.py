"""Reads from the database what the doctor must know: the newsletters, and whether the schema is current.

Only reads.
"""

from sqlalchemy.exc import SQLAlchemyError

from mailer import address as addresses
from mailer import schema
from mailer.app import App
from mailer.db import explain
from mailer.doctor.finding import CheckFinding, from_error, ok
from mailer.doctor.installation import NewsletterFacts
from mailer.errors import MailerError
from mailer.newsletters import newsletters
from mailer.text.untrusted import redact

_CHECK = "schema"


def read_facts(app: App) -> tuple[CheckFinding, list[NewsletterFacts] | None]:
    """Read the newsletters; None if the database cannot be used, which the finding then says."""
    try:
        schema.check(app.database, app.keys.fingerprint())
        with app.database.read() as session:
            found = newsletters.overviews(session)
    except MailerError as error:
        return from_error(_CHECK, "", str(error)), None
    except SQLAlchemyError as error:
        return from_error(_CHECK, "", str(explain(error) or redact(str(error)))), None
    facts = [
        NewsletterFacts(
            slug=one.slug,
            from_address=one.profile.from_address,
            from_domain=domain_of(one.profile.from_address),
            reply_domain=domain_of(one.profile.reply_to or one.profile.from_address),
            postal_address=one.profile.postal_address,
            subscriptions=one.subscriptions,
        )
        for one in found
    ]
    return ok(_CHECK, "", f"the database has the current schema ({schema.head()})"), facts


def domain_of(address: str) -> str:
    """Return the domain of a valid address, as A-labels.

    Raises:
        BadAddress: it is not valid.
    """
    return addresses.parse(address).key.rpartition("@")[2]
