"""Asks DNS, and judges the records that receivers of our mail look at."""
