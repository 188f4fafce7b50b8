"""From the ledger to the relay: what waits, who may take it, and what the relay said of it.

Whom to write to is decided by `mailer.digests` and `mailer.permission`; nothing here adds a reader.
"""
