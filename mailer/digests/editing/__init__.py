"""What staff decide by hand: edits of a coming digest, one-offs, and introductions."""
