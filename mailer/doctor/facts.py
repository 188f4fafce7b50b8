"""Reads from the database what the doctor must know: the newsletters, and whether the schema is current.

Only reads.
"""

from sqlalchemy.exc import SQLAlchemyError

from mailer import schema
from mailer.address import parse
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
            from_domain=parse(one.profile.from_address).domain,
            reply_domain=parse(one.profile.reply_to or one.profile.from_address).domain,
            postal_address=one.profile.postal_address,
            subscriptions=one.subscriptions,
        )
        for one in found
    ]
    return ok(_CHECK, "", f"the database has the current schema ({schema.head()})"), facts
