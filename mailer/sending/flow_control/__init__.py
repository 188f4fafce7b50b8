"""Flow control: how fast mail goes out, and when it stops by itself."""
