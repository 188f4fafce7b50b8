"""Renders templates in the reader's language, with its dates and numbers."""
