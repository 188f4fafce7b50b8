"""Composes the bytes of mails, and classifies the SMTP replies to them.

Pure: never reads a clock, opens a file, or touches the network or the database.
"""
