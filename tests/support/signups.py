"""What sign-ups need of an installation, with limits that let everything through."""

from datetime import timedelta
from secrets import token_bytes

from mailer.newsletters.offer import Publisher
from mailer.rate import Rate, SignupLimits
from mailer.subscribers.signup import SignupContext
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support.sending import alerts

_RATE = Rate(100, timedelta(hours=1))


def signup_context(keys: Keys) -> SignupContext:
    return SignupContext(
        base_url="https://news.example",
        publisher=Publisher(),
        keys=keys,
        templates=Templates(),
        random=token_bytes,
        alerts=alerts(keys),
        limits=SignupLimits(_RATE, _RATE, _RATE),
        expiry=timedelta(days=7),
    )
