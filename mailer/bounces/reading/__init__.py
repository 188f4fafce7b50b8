"""Reads returned mails, complaints and automatic replies, from bytes to what they report. Pure."""
