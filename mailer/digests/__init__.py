"""Digests: when they are due, which articles each reader gets, and the builds that write them down.

Never imports feeds or subscribers. `mailer.message` decides what a mail looks like on the wire.
"""
