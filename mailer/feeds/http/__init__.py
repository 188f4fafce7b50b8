"""Fetches feeds and pages over HTTP, within limits and from allowed addresses only."""
