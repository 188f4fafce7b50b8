"""Reads the mails that are written for machines: reports, complaints and notifications. Pure."""
