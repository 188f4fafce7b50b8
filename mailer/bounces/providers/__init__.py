"""Reads what mail providers report about mails that were sent through them. Pure.

Never acts on a report: whether a mail is ours, and what follows for its reader, is for
`mailer.bounces.evidence`.
"""
