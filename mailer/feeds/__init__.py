"""Feeds: fetched, read, and turned into articles. Nothing here sends or chooses anything."""
