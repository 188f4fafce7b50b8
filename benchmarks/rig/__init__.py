"""What the benchmarks share: a digest that waits, a relay that takes it, and worker processes to watch."""
