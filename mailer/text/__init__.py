"""Writes English for staff, and makes strangers' text safe to show."""
