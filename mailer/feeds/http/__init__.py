"""Fetches feeds and pages over HTTP, from addresses that may be asked, within limits."""
