"""Reads a feed or a page: bytes in, entries out, in any encoding and format. Pure; the sandbox runs it."""
