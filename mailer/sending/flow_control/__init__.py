"""Decides how fast mail goes out, and when it stops by itself: one module for each rule."""
