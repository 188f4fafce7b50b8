"""Puts a backup in the place of the database, on each of the engines."""
