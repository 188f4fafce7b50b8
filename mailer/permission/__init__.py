"""Decides whether an address may be mailed, and records what people do to change it."""
