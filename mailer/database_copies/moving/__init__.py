"""Moves everything to another database, and takes a move back."""
