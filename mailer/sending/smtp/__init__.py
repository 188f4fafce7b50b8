"""Speaks SMTP with the relay: the conversation, its connections, and what an answer means."""
