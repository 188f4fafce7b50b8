"""Looks at what surrounds us: the relay, the website, this machine. Never judges what it sees."""
