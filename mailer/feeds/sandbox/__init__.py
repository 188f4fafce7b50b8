"""Parses feeds and pages in a child process, with limits that hold whatever a stranger sends."""
