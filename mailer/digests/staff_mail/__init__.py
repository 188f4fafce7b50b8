"""Mails to staff about a digest: the review before it, and the report after it."""
