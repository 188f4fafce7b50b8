"""Defines rates and the limits on sign-ups that are made of them. Pure."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Rate:
    """At most `count` in any `span`."""

    count: int
    span: timedelta

    @property
    def per_second(self) -> float:
        """The same for one second; a small fraction for a slow rate."""
        return self.count / self.span.total_seconds()


@dataclass(frozen=True)
class SignupLimits:
    """How many mails sign-ups may cause: for one address, for one client network, and in total."""

    address: Rate
    network: Rate
    total: Rate
