"""Which articles each reader gets: reads and chooses, and writes nothing but a temporary table."""
