"""Decides about the mails of a sender from their claim until their results are recorded. Pure, all of it."""
