"""Decides how fast mail goes out, and when it stops by itself: `control` is told what happened."""
