"""Checks whether mail from this installation will be delivered. Never sends a mail, and changes nothing."""
