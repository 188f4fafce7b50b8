"""Keeps the journal: what must not be undone when an older database is restored."""
