"""Enters readers whose consent, or wish to be left alone, was given elsewhere."""
