"""Reads and writes the files of backups: whole copies of a database, on both engines."""
