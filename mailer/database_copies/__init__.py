"""Copies the whole database: backups, coming back from one, and moving to another place."""
