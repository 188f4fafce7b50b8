"""Notices: mails to one person. Renders and queues them; sends nothing."""
