"""Sends what waits in the ledger to the relay, and records what the relay said.

Never adds a reader: `mailer.digests` and `mailer.permission` decide whom to write to.
"""
