"""Changes what the ledger holds of the past, as a whole: after a restore."""
