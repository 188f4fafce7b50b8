"""Reads feeds and pages in a child process, whose limits hold for whatever a stranger sends."""
