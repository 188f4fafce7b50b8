"""Gives people what they may ask for: what is held about them, and links by mail to see or delete it."""
