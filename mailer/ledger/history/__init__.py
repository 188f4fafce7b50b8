"""Reads and changes what the ledger holds of the past, as a whole: after a purge, and after a restore."""
