"""Parses feeds and pages, in any encoding and format, from bytes to entries. Pure: the sandbox runs it."""
