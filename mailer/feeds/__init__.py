"""Fetches feeds, parses them, and turns them into articles. Never sends or chooses any."""
