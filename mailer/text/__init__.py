"""Writes English for staff, converts HTML and plain text, and makes strangers' text safe to show. Pure."""
